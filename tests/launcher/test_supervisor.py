"""Peers are kept running; small real servers stand in for them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.peers import Peer
from chat_platform.launcher.processes import Program
from chat_platform.launcher.supervisor import Supervisor
from tests.waiting import eventually

pytestmark = pytest.mark.programs

READY_AND_STAY = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"
STAY_SILENT = "import time; time.sleep(60)"
FAIL = "print('no such database'); raise SystemExit(3)"


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "records")
    yield supervisor
    await supervisor.stop()


def peer(folder: Path, code: str, *, name: str = "little", ready_seconds: float = 10) -> Peer:
    place = folder / name
    place.mkdir(exist_ok=True)

    async def is_ready() -> bool:
        return (place / "ready").exists()

    program = Program(
        name=name,
        argv=(sys.executable, "-c", code),
        cwd=place,
        log=folder / f"{name}.log",
        environment={"PATH": os.environ["PATH"]},
    )
    return Peer(name.capitalize(), program, "http://127.0.0.1:1", is_ready, ready_seconds)


async def test_a_started_peer_is_running(supervisor: Supervisor, tmp_path: Path):
    await supervisor.start(peer(tmp_path, READY_AND_STAY))

    assert supervisor.as_dict()["little"]["state"] == "running"


async def test_a_peer_that_dies_is_started_again(supervisor: Supervisor, tmp_path: Path):
    await supervisor.start(peer(tmp_path, READY_AND_STAY))
    first = supervisor.states["little"].pid
    assert first

    os.kill(first, signal.SIGKILL)
    await eventually(lambda: supervisor.states["little"].restarts == 1, seconds=20)
    await eventually(lambda: supervisor.states["little"].state == "running", seconds=20)

    assert supervisor.states["little"].pid != first
    assert supervisor.states["little"].last_failure == "ended with code -9"


async def test_restarts_of_a_peer_that_keeps_dying_come_ever_later(
    supervisor: Supervisor, tmp_path: Path
):
    dying = "import pathlib; pathlib.Path('ready').touch(); import time; time.sleep(0.3)"
    started = asyncio.get_running_loop().time()

    await supervisor.start(peer(tmp_path, dying))
    await eventually(lambda: supervisor.states["little"].restarts == 3, seconds=20)

    assert asyncio.get_running_loop().time() - started > 0.5 + 1.0


async def test_a_peer_that_ends_while_starting_is_a_failure_with_its_words(
    supervisor: Supervisor, tmp_path: Path
):
    with pytest.raises(LaunchFailed, match="Little ended with code 3") as failed:
        await supervisor.start(peer(tmp_path, FAIL))

    assert "no such database" in failed.value.way_out


async def test_a_peer_that_never_answers_is_a_failure(supervisor: Supervisor, tmp_path: Path):
    with pytest.raises(LaunchFailed, match="did not answer within"):
        await supervisor.start(peer(tmp_path, STAY_SILENT, ready_seconds=0.3))


async def test_stopping_takes_the_last_started_first_and_leaves_nothing(tmp_path: Path):
    order: list[str] = []
    supervisor = Supervisor(tmp_path / "records", lambda: order.extend(newly_stopped()))

    def newly_stopped() -> list[str]:
        stopped = [name for name, s in supervisor.states.items() if s.state == "stopped"]
        return [name for name in stopped if name not in order]

    await supervisor.start(peer(tmp_path, READY_AND_STAY, name="database"))
    await supervisor.start(peer(tmp_path, READY_AND_STAY, name="server"))
    pids = [state.pid for state in supervisor.states.values() if state.pid]

    await supervisor.stop()

    assert order == ["server", "database"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


COUNT = """
import itertools, pathlib, sys, time
pathlib.Path('ready').touch()
for number in itertools.count():
    print(number, flush=True)
    time.sleep(0.0002)
"""


async def test_a_peers_log_is_kept_short_while_it_writes(tmp_path: Path):
    limit = 4_000
    supervisor = Supervisor(tmp_path / "records", log_check_seconds=0.02, longest_log_bytes=limit)
    log, aside = tmp_path / "little.log", tmp_path / "little.old.log"
    sizes: set[int] = set()

    def was_emptied_often() -> bool:
        sizes.add(log.stat().st_size)
        return aside.exists() and max(_numbers(aside), default=0) > 5_000

    await supervisor.start(peer(tmp_path, COUNT))
    try:
        await eventually(was_emptied_often, seconds=20)
    finally:
        await supervisor.stop()

    # No hole of zero bytes: further output is appended at the new end.
    assert b"\0" not in log.read_bytes()
    assert max(sizes) < 10 * limit
    assert _numbers(aside) == sorted(_numbers(aside))


async def test_logs_can_be_read_by_nobody_else(supervisor: Supervisor, tmp_path: Path):
    before = os.umask(0)
    (tmp_path / "little.log").touch(mode=0o666)
    try:
        await supervisor.start(peer(tmp_path, READY_AND_STAY))
    finally:
        os.umask(before)

    assert (tmp_path / "little.log").stat().st_mode & 0o077 == 0


def _numbers(log: Path) -> list[int]:
    """Return the complete lines of the log, as numbers."""
    return [int(line) for line in log.read_text().split("\n")[1:-1] if line]
