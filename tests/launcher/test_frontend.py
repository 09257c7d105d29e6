"""When the pages are rebuilt, and what the build keeps out of them."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chat_platform.launcher import frontend
from chat_platform.web.built_pages import SITE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose pages are built, according to its stamp."""
    for name in frontend._INPUT_FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("assets", "chat_platform/pages", "chat_platform/state"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "assets" / "base.css").write_text("p {}")
    (tmp_path / SITE).mkdir(parents=True)
    (tmp_path / SITE / "stamp").write_text(frontend._fingerprint(tmp_path))
    return tmp_path


def test_pages_whose_inputs_did_not_change_are_not_built_again(project: Path):
    assert frontend.build(project) is False


def test_a_build_waits_for_the_one_that_is_under_way(project: Path):
    with ThreadPoolExecutor(1) as pool:
        with frontend._only_builder(project):
            another = pool.submit(frontend.build, project)
            with pytest.raises(TimeoutError):
                another.result(timeout=0.2)

        assert another.result(timeout=10) is False


def test_a_changed_style_sheet_makes_the_pages_stale(project: Path):
    (project / "assets" / "base.css").write_text("p { color: red }")

    assert not frontend.is_built(project)


def test_compiled_python_does_not_make_the_pages_stale(project: Path):
    cache = project / "chat_platform" / "pages" / "__pycache__"
    cache.mkdir()
    (cache / "chat.pyc").write_bytes(b"compiled")

    assert frontend.is_built(project)


def test_packages_of_an_interrupted_build_are_forgotten(tmp_path: Path):
    packages = tmp_path / ".web" / "node_modules"
    packages.mkdir(parents=True)

    with pytest.raises(KeyboardInterrupt), frontend._whole_packages(tmp_path):
        raise KeyboardInterrupt
    was_there = packages.exists()
    with frontend._whole_packages(tmp_path):
        is_there = packages.exists()

    assert was_there
    assert not is_there
    assert not (tmp_path / ".reflex" / "unfinished-build").exists()


def test_a_lock_that_was_only_put_in_another_order_stays_as_it_was(tmp_path: Path):
    lock = tmp_path / "package.json"
    lock.write_text('{"a": 1, "b": 2}')

    with frontend._same_order(lock):
        lock.write_text('{"b": 2, "a": 1}')
    with frontend._same_order(tmp_path / "none.json"):
        pass

    assert lock.read_text() == '{"a": 1, "b": 2}'


def test_a_lock_with_other_versions_is_kept(tmp_path: Path):
    lock = tmp_path / "package.json"
    lock.write_text('{"a": 1}')

    with frontend._same_order(lock):
        lock.write_text('{"a": 2}')

    assert lock.read_text() == '{"a": 2}'


def test_the_pages_talk_to_the_address_they_came_from():
    built = "var e={PING:`http://localhost:8000/ping`,EVENT:`ws://localhost:8000/_event`}"

    script = frontend._with_own_origin(built, "")
    under_a_path = frontend._with_own_origin(built, "/myai")

    assert "localhost" not in script
    assert "PING:location.origin+`/ping`" in script
    assert "EVENT:location.origin.replace(/^http/,`ws`)+`/_event`" in script
    assert "EVENT:location.origin.replace(/^http/,`ws`)+`/myai/_event`" in under_a_path


def test_another_root_path_is_another_build(project: Path, monkeypatch: pytest.MonkeyPatch):
    assert frontend.is_built(project)

    monkeypatch.setenv("ROOT_PATH", "/myai")

    assert not frontend.is_built(project)


def test_the_committed_lock_names_no_registry():
    packages = json.loads((ROOT / "reflex.lock" / "package-lock.json").read_text())["packages"]

    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package]
