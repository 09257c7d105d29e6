"""Small real processes: started, stopped, recognised, and found again after a crash."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from chat_platform.launcher.processes import (
    MARK,
    Program,
    Record,
    Running,
    is_running,
    stop_leftovers,
    tail,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.programs

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
WITH_CHILD = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('up', flush=True);"
)
SLEEP = "import time; time.sleep(60)"


def program(folder: Path, code: str, *, stop_seconds: float = 5) -> Program:
    return Program(
        name="little",
        argv=(sys.executable, "-c", code),
        cwd=folder,
        log=folder / "logs" / "little.log",
        environment={"PATH": os.environ["PATH"]},
        stop_seconds=stop_seconds,
    )


def start(folder: Path, code: str, *, says: str = "", stop_seconds: float = 5) -> Running:
    folder.mkdir(exist_ok=True)
    running = Running(program(folder, code, stop_seconds=stop_seconds), folder / "records")
    wait_for(lambda: says in tail(running.program.log), seconds=10)
    return running


def marked(folder: Path) -> list[psutil.Process]:
    """Everything alive that was started for this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(MARK) == str(folder / "records"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_unstopped(running: Running) -> None:
    """Remove the process as a crash of the machine would, and leave its record."""
    os.kill(running.pid, signal.SIGKILL)
    running.exit_code()
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == running.pid], timeout=5)


def test_a_stopped_program_leaves_no_process_and_no_record(tmp_path: Path):
    running = start(tmp_path, WITH_CHILD + SLEEP, says="up")

    assert len(marked(tmp_path)) == 2
    running.stop()

    assert marked(tmp_path) == []
    assert list((tmp_path / "records").iterdir()) == []


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path):
    code = f"{STUBBORN}; print('up', flush=True); {SLEEP}"
    running = start(tmp_path, code, says="up", stop_seconds=0.2)

    running.stop()

    assert running.exit_code() == -signal.SIGKILL
    assert marked(tmp_path) == []


def test_children_of_a_program_that_died_are_stopped_too(tmp_path: Path):
    running = start(tmp_path, WITH_CHILD + SLEEP, says="up")
    os.kill(running.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(running.pid)], timeout=5)

    running.stop()

    assert marked(tmp_path) == []


def test_ctrl_c_does_not_reach_it(tmp_path: Path):
    running = start(tmp_path, "print('up', flush=True);" + SLEEP, says="up")

    assert os.getsid(running.pid) == running.pid != os.getsid(0)
    running.stop()


async def test_its_end_can_be_waited_for(tmp_path: Path):
    running = start(tmp_path, "raise SystemExit(3)")

    assert await running.ended() == 3


def test_it_gets_only_the_environment_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOMEBODYS_API_KEY", "secret")
    code = "import os; print(sorted(os.environ), flush=True)"
    running = start(tmp_path, code, says="PATH")

    assert "SOMEBODYS_API_KEY" not in tail(running.program.log)
    running.stop()


def test_a_long_log_is_put_aside(tmp_path: Path):
    little = program(tmp_path, "print('new')")
    little.log.parent.mkdir()
    little.log.write_bytes(b"x" * 20_000_001)

    running = start(tmp_path, "print('new')", says="new")
    running.stop()

    assert little.log.read_text() == "new\n"
    assert (tmp_path / "logs" / "little.old.log").stat().st_size == 20_000_001


def test_what_a_killed_launcher_left_is_stopped_at_the_next_start(tmp_path: Path):
    start(tmp_path, WITH_CHILD + SLEEP, says="up")

    stopped = stop_leftovers(tmp_path / "records")

    assert stopped == ["little"]
    assert marked(tmp_path) == []
    assert stop_leftovers(tmp_path / "records") == []


def test_workers_whose_parent_is_gone_are_leftovers_too(tmp_path: Path):
    running = start(tmp_path, WITH_CHILD + SLEEP, says="up")
    kill_unstopped(running)

    assert len(marked(tmp_path)) == 1
    stop_leftovers(tmp_path / "records")

    assert marked(tmp_path) == []


def test_another_process_with_the_recorded_number_is_left_alone(tmp_path: Path):
    other = start(tmp_path / "other", "print('up', flush=True);" + SLEEP, says="up")
    old = Record("little", other.pid, other.record.started_at - 1000, ["python"])
    records = tmp_path / "records"
    records.mkdir()
    (records / "little.json").write_text(
        (tmp_path / "other" / "records" / "little.json")
        .read_text()
        .replace(str(other.record.started_at), str(old.started_at))
    )

    stopped = stop_leftovers(records)

    assert stopped == []
    assert other.exit_code() is None
    other.stop()


def test_a_record_tells_whether_its_process_runs(tmp_path: Path):
    running = start(tmp_path, "print('up', flush=True);" + SLEEP, says="up")

    before = is_running(running.record, tmp_path / "records")
    running.stop()

    assert before
    assert not is_running(running.record, tmp_path / "records")


def test_a_broken_record_does_not_stop_the_start(tmp_path: Path):
    (tmp_path / "little.json").write_text("{")

    assert stop_leftovers(tmp_path) == []
