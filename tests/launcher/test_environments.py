from pathlib import Path

import pytest

from chat_platform.launcher.environments import Environment, check_disk_space, make_environment
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, tmp_path / "env")


def environment(folder: Path, requirements: str) -> Environment:
    file = folder / "requirements.txt"
    file.write_text(requirements)
    return Environment("little", file)


async def test_an_environment_is_made_once(places: Places):
    little = environment(places.data_dir, "")

    await make_environment(little, places)
    first = little.python(places).stat().st_ctime_ns
    await make_environment(little, places)

    assert little.is_made(places)
    assert little.python(places).stat().st_ctime_ns == first


async def test_other_requirements_make_another_environment(places: Places):
    before = environment(places.data_dir, "").folder(places)
    after = environment(places.data_dir, "six==1.17.0\n").folder(places)

    assert before != after


async def test_an_interrupted_environment_is_made_again(places: Places):
    little = environment(places.data_dir, "")
    (little.folder(places) / "bin").mkdir(parents=True)
    (little.folder(places) / "bin" / "python").write_text("half")

    await make_environment(little, places)

    assert little.is_made(places)
    assert little.python(places).read_bytes() != b"half"


async def test_a_failed_install_is_told_with_its_cause_and_the_way_out(
    places: Places, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(places.data_dir / "cache"))
    digest = "0" * 64
    little = environment(places.data_dir, f"six==1.17.0 --hash=sha256:{digest}\n")

    with pytest.raises(
        LaunchFailed, match=r"^install-little failed: No solution found .+ \(.+six.+\)\."
    ) as failed:
        await make_environment(little, places)

    assert "network" in failed.value.way_out
    assert str(places.logs / "install-little.log") in failed.value.way_out
    assert not little.is_made(places)


def test_a_full_disk_is_told_with_the_way_out(places: Places):
    with pytest.raises(LaunchFailed, match="GB are free at") as failed:
        check_disk_space(places.environments, needed_bytes=10**18)

    assert "CHAT_PLATFORM_ENV_DIR" in failed.value.way_out
