"""Creates the Python environments of the embedded peers, each from its own pinned requirements."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program, Running, tail
from chat_platform.launcher.unprivileged import make_enterable, open_to_readers

_NEEDED_BYTES = 2_500_000_000
_LOCK_SECONDS = 0.3


@dataclass(frozen=True)
class Environment:
    """A virtual environment named after the hash of its requirements: new requirements, new one."""

    name: str
    requirements: Path

    def folder(self, places: Places) -> Path:
        pinned = self.requirements.read_bytes() + sys.version.encode()
        return places.environments / f"{self.name}-{hashlib.sha256(pinned).hexdigest()[:12]}"

    def python(self, places: Places) -> Path:
        return self.folder(places) / "bin" / "python"

    def is_made(self, places: Places) -> bool:
        """Return whether it is complete, and built with the Python it is to run with."""
        done = self.folder(places) / "complete"
        return done.exists() and done.read_text() == str(places.python)


async def make_environment(environment: Environment, places: Places) -> None:
    """Install what the requirements pin, once. Raises LaunchFailed."""
    folder = environment.folder(places)
    async with installing(environment.name, places):
        if environment.is_made(places):
            return
        check_disk_space(places.environments)
        shutil.rmtree(folder, ignore_errors=True)
        await run_uv(
            f"install-{environment.name}", places, "venv", "-q", "-p", places.python, folder
        )
        await run_uv(
            f"install-{environment.name}",
            places,
            # The user who runs it may not be able to write compiled files there.
            *("pip", "install", "-q", "--compile-bytecode", "-p", environment.python(places)),
            *("--require-hashes", "-r", environment.requirements),
        )
        share(folder, places)
        (folder / "complete").write_text(str(places.python))


@asynccontextmanager
async def installing(name: str, places: Places) -> AsyncIterator[None]:
    """Prevent other installations that share the folder from creating the same one."""
    make_enterable(places.environments)
    if places.peer_user:
        places.environments.chmod(0o755)
    with (places.environments / f"{name}.lock").open("w") as lock:
        while not _is_locked(lock):  # noqa: ASYNC110
            await asyncio.sleep(_LOCK_SECONDS)
        yield


def share(folder: Path, places: Places) -> None:
    """Let the peers' user read the installation, whatever our umask is."""
    if places.peer_user:
        open_to_readers(folder)


def _is_locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def run_uv(name: str, places: Places, *arguments: str | Path) -> None:
    """Run uv to completion. Raises LaunchFailed with its last output."""
    program = Program(
        name=name,
        argv=(_uv(), *map(str, arguments)),
        cwd=places.environments,
        log=places.logs / f"{name}.log",
        environment={**os.environ, "UV_NO_PROGRESS": "1"},
    )
    await run_to_end(program, places)


def _uv() -> str:
    """Return uv's path. The package's own function could not be imported where only serving is."""
    return str(Path(sysconfig.get_path("scripts")) / "uv")


async def run_to_end(program: Program, places: Places) -> None:
    """Run a program to completion; cancelling stops it. Raises LaunchFailed."""
    program.log.unlink(missing_ok=True)
    running = Running(program, places.records)
    try:
        code = await running.ended()
    finally:
        await asyncio.to_thread(running.stop)
    if code != 0:
        raise LaunchFailed(
            f"{program.name} failed: {_last_words(program.log)}",
            way_out=f"Check the network and the disk, then start again. All of it: {program.log}",
        )


def check_disk_space(folder: Path, *, needed_bytes: int = _NEEDED_BYTES) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise LaunchFailed(
            f"Only {free / 1e9:.1f} GB are free at {existing}; the peers need"
            f" {needed_bytes / 1e9:.1f} GB.",
            way_out="Free some space, or set CHAT_PLATFORM_ENV_DIR to a folder on a larger disk.",
        )


def _last_words(log: Path) -> str:
    """Return the end of a log as one line: uv's error with its deepest cause, if there is one.

    uv writes `error: ...`, then its causes, the deepest last, then hints.
    """
    lines = [line.strip() for line in tail(log).splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    causes = [line.removeprefix("cause: ") for line in lines if line.startswith("cause: ")]
    if errors:
        return f"{errors[-1]}{f' ({causes[-1]})' if causes else ''}."
    return lines[-1] if lines else "it said nothing."
