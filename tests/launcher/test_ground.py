"""The peers' folders when another user runs them: what they can read, and cannot write."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chat_platform.launcher.ground import home_of, programs_folder, reachable
from chat_platform.launcher.peers import bare_environment
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import OsUser
from chat_platform.launcher.unprivileged import can

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")
UMASKS = [0o000, 0o022, 0o077]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "run.py"
    file.write_text("print('runs')\n")
    return file


@pytest.mark.skipif(os.geteuid() == 0, reason="for ordinary users")
def test_an_ordinary_user_runs_the_peers_itself(tmp_path: Path):
    places = Places(tmp_path, tmp_path / "env")

    assert reachable(places) == places


@as_root
def test_root_finds_a_python_that_the_peers_user_can_run(open_folder: Path):
    places = reachable(Places(open_folder, open_folder / "env"))

    assert places.peer_user
    assert places.environments == open_folder / "env"
    assert can(places.peer_user, "-x", places.python)


@as_root
def test_environments_move_where_the_clone_is_closed(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    places = reachable(Places(closed / "data", closed / "data" / "env"))

    assert places.environments == Path("/var/lib/chat-platform/env")


@as_root
@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("umask", UMASKS)
def test_the_peers_user_runs_its_programs_and_writes_in_its_home_alone(
    open_folder: Path, program: Path, umask: int, is_closed: bool
):
    data_dir = open_folder / "data"
    data_dir.mkdir()
    data_dir.chmod(0o700 if is_closed else 0o711)
    places = reachable(Places(data_dir, open_folder / "env"))
    user = places.peer_user
    assert user
    before = os.umask(umask)
    try:
        folder = programs_folder(places, "little", program)
    finally:
        os.umask(before)

    said = _run_as(user, str(places.python), str(folder / "run.py"))

    assert said == "runs"
    assert can(user, "-w", home_of(folder))
    assert not can(user, "-w", folder)
    assert not can(user, "-w", folder / "run.py")
    assert home_of(folder).stat().st_mode & 0o077 == 0
    if is_closed:
        shutil.rmtree(folder.parent)


def test_nothing_of_our_home_is_told_to_who_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", "/home/ours")
    monkeypatch.setenv("TMPDIR", "/home/ours/tmp")

    told = bare_environment(home=tmp_path)

    assert told["HOME"] == str(tmp_path)
    assert not [value for value in told.values() if "/home/ours" in value and value != told["PATH"]]


def _run_as(user: OsUser, *words: str) -> str:
    done = subprocess.run(
        words,
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
