import os
from pathlib import Path

import pytest

from chat_platform.launcher.places import Places
from chat_platform.launcher.status import read_status, remove_status, status_lines, write_status
from chat_platform.launcher.supervisor import PeerState, Supervisor


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path, tmp_path / "env")
    places.run.mkdir()
    return places


@pytest.fixture
def supervisor(places: Places) -> Supervisor:
    supervisor = Supervisor(places.records)
    supervisor.states["letta"] = PeerState("Letta", "http://127.0.0.1:21000", "running", 1)
    return supervisor


def written(places: Places, supervisor: Supervisor) -> str:
    write_status(places, supervisor, state="ready", url="http://localhost:8000")
    return places.status.read_text()


def test_all_peers_running_is_ready(places: Places, supervisor: Supervisor):
    assert '"state": "ready"' in written(places, supervisor)


def test_a_peer_that_is_started_again_shows(places: Places, supervisor: Supervisor):
    letta = supervisor.states["letta"]
    letta.state, letta.restarts, letta.last_failure = "restarting", 2, "ended with code -9"

    assert '"state": "degraded"' in written(places, supervisor)
    lines = "\n".join(status_lines(read_status(places)))
    assert "restarting" in lines
    assert "2 restarts, last: ended with code -9" in lines


def test_the_file_of_a_launcher_that_is_gone_says_not_running(
    places: Places, supervisor: Supervisor
):
    text = written(places, supervisor)
    gone = next(pid for pid in range(2**22 - 1, 2, -1) if not Path(f"/proc/{pid}").exists())
    places.status.write_text(text.replace(str(os.getpid()), str(gone)))

    assert read_status(places)["state"] == "not running"


def test_without_a_file_nothing_runs(places: Places):
    remove_status(places)

    assert status_lines(read_status(places)) == ["not running"]
