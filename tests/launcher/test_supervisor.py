"""Peers are kept running with real little servers in their place."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.peers import Peer
from chat_platform.launcher.processes import Program
from chat_platform.launcher.supervisor import Supervisor

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


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not claim():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_started_peer_is_running(supervisor: Supervisor, tmp_path: Path):
    await supervisor.start(peer(tmp_path, READY_AND_STAY))

    assert supervisor.as_dict()["little"]["state"] == "running"


async def test_a_peer_that_dies_is_started_again(supervisor: Supervisor, tmp_path: Path):
    await supervisor.start(peer(tmp_path, READY_AND_STAY))
    first = supervisor.states["little"].pid
    assert first

    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.states["little"].restarts == 1)
    await until(lambda: supervisor.states["little"].state == "running")

    assert supervisor.states["little"].pid != first
    assert supervisor.states["little"].last_failure == "ended with code -9"


async def test_restarts_of_a_peer_that_keeps_dying_come_ever_later(
    supervisor: Supervisor, tmp_path: Path
):
    dying = "import pathlib; pathlib.Path('ready').touch(); import time; time.sleep(0.3)"
    started = asyncio.get_running_loop().time()

    await supervisor.start(peer(tmp_path, dying))
    await until(lambda: supervisor.states["little"].restarts == 3)

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
