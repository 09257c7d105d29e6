"""Starts and stops processes, and finds those that a killed launcher left behind."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chat_platform.launcher.log_files import keep_short, open_log

MARK = "CHAT_PLATFORM_STARTED_FOR"
"""Environment variable of everything we start; its value is the folder of the records."""

_SAME_START_SECONDS = 1.0
_LEFTOVER_SECONDS = 8.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class OsUser:
    """A user of this machine, to run a program as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run, and how to stop it. Its output is appended to `log`."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: OsUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


@dataclass(frozen=True)
class Record:
    """The record of a process on disk: enough to recognise it and not confuse it with another."""

    name: str
    pid: int
    started_at: float
    command: list[str]
    stop_signal: int = signal.SIGTERM


class Running:
    """A running program. It leads its own session, so that Ctrl-C reaches only the launcher."""

    def __init__(self, program: Program, records: Path) -> None:
        self.program = program
        self._file = records / f"{program.name}.json"
        self._process = _spawn(program, records)
        self.record = _write_record(self._file, program, self._process.pid)
        self._mark = str(records)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.poll()

    async def ended(self) -> int:
        """Wait for it to exit and return the exit code."""
        while (code := self.exit_code()) is None:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        return code

    def stop(self) -> None:
        """Stop it and everything it started, first gracefully, then by force. Blocks until done."""
        process = _process_of(self.record, self._mark)
        family = _family(process) if process else []
        if self.exit_code() is None:
            self._process.send_signal(self.program.stop_signal)
            try:
                self._process.wait(self.program.stop_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _kill([*family, *_orphans(self.record, self._mark)])
        self._file.unlink(missing_ok=True)


def stop_leftovers(records: Path) -> list[str]:
    """Stop the recorded processes that an earlier launcher left running; return their names.

    In reverse order of start, as in an orderly stop.
    """
    found = [(file, record) for file in records.glob("*.json") if (record := _read_record(file))]
    stopped = []
    for file, record in sorted(found, key=lambda pair: pair[1].started_at, reverse=True):
        if _stop_recorded(record, str(records)):
            stopped.append(record.name)
        file.unlink(missing_ok=True)
    return stopped


def is_running(record: Record, records: Path) -> bool:
    """Return whether the recorded process still runs (not another one with its number)."""
    return _process_of(record, str(records)) is not None


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, or an empty string if there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _spawn(program: Program, records: Path) -> subprocess.Popen[bytes]:
    records.mkdir(parents=True, exist_ok=True)
    keep_short(program.log)
    user = program.user
    with open_log(program.log) as log:
        return subprocess.Popen(
            program.argv,
            cwd=program.cwd,
            env={**program.environment, MARK: str(records)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )


def _write_record(file: Path, program: Program, pid: int) -> Record:
    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.Error:  # It exited at once; whoever waits for it will notice.
        started_at = time.time()
    command = [Path(program.argv[0]).name, *program.argv[1:]]
    record = Record(program.name, pid, started_at, command, program.stop_signal)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(record.__dict__))
    part.replace(file)
    return record


def _read_record(file: Path) -> Record | None:
    try:
        return Record(**json.loads(file.read_text()))
    except (ValueError, TypeError, OSError):
        return None


def _process_of(record: Record, mark: str) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        is_same = abs(process.create_time() - record.started_at) < _SAME_START_SECONDS
        # The start time is counted from boot, so it moves when the clock is set.
        is_same = is_same or _environment(process).get(MARK) == mark
        is_over = process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return process if is_same and not is_over else None


def _stop_recorded(record: Record, mark: str) -> bool:
    process = _process_of(record, mark)
    family = _family(process) if process else _orphans(record, mark)
    if process:
        process.send_signal(record.stop_signal)
        psutil.wait_procs([process], timeout=_LEFTOVER_SECONDS)
        family.append(process)
    _kill(family)
    return bool(family)


def _family(process: psutil.Process) -> list[psutil.Process]:
    """Return all descendants of the process and members of its session, without itself."""
    try:
        descendants = process.children(recursive=True)
    except psutil.Error:
        descendants = []
    return list({*descendants, *_session(process.pid)})


def _orphans(record: Record, mark: str) -> list[psutil.Process]:
    """Return members of a session whose leader is gone; our mark rules out a reused number.

    They may have outlived their parent: a server's workers, for one.
    """
    return [member for member in _session(record.pid) if _environment(member).get(MARK) == mark]


def _session(leader: int) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid != leader and os.getsid(process.pid) == leader:
                yield process
        except (OSError, psutil.Error):
            continue


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(processes, timeout=5)
