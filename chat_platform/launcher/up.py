"""Runs the whole platform until told to stop: `chat-platform up`."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from chat_platform.database.engine import UnfitDatabase, migrate
from chat_platform.launcher import server
from chat_platform.launcher.embedded import EmbeddedPeers
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.free_ports import is_free
from chat_platform.launcher.ground import reachable
from chat_platform.launcher.launch import Launch, launch_failed_alone
from chat_platform.launcher.places import Places, places_of
from chat_platform.launcher.steps import Steps
from chat_platform.launcher.supervisor import Supervisor
from chat_platform.settings import Settings


def run_platform(settings: Settings, *, peers_only: bool = False) -> None:
    """Start everything, and stop it on Ctrl-C or SIGTERM. Raises LaunchFailed."""
    # Everything written below DATA_DIR is private.
    os.umask(0o077)
    places = places_of(settings)
    make_data_dir(places)
    places = reachable(places)
    with only_launcher(places):
        _check_whole(places)
        asyncio.run(_Platform(settings, places, peers_only=peers_only).run())


def install(settings: Settings) -> None:
    """Create the embedded peers' environments before the first start. Raises LaunchFailed."""
    os.umask(0o077)
    places = places_of(settings)
    make_data_dir(places)
    places = reachable(places)
    peers = EmbeddedPeers(settings, places, Steps(), Supervisor(places.records))
    with only_launcher(places), launch_failed_alone():
        asyncio.run(peers.install())


def make_data_dir(places: Places) -> None:
    try:
        places.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
        # If we are root, Postgres's user must be able to enter it, but not to list it.
        places.data_dir.chmod(0o711)
        places.run.mkdir(exist_ok=True)
        places.logs.mkdir(exist_ok=True)
    except OSError as exc:
        raise LaunchFailed(
            f"Can't write to {places.data_dir}: {exc.strerror}.",
            way_out="Take ownership of it (chown), or set DATA_DIR to another folder.",
        ) from exc


def _check_whole(places: Places) -> None:
    if places.restoring.exists():
        raise LaunchFailed(
            f"A backup was being restored into {places.data_dir}, and is not complete.",
            way_out="Run `chat-platform restore` again.",
        )


@contextmanager
def only_launcher(places: Places) -> Iterator[None]:
    """Hold the folder's lock. Raises LaunchFailed if another launcher has it."""
    with places.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise LaunchFailed(
                f"A launcher is already running in {places.data_dir}"
                f" (process {lock.read().strip()}).",
                way_out="Use that one, stop it, or set another DATA_DIR and PORT.",
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class _Platform:
    """What `chat-platform up` starts: the peers that the settings do not name, and the server."""

    def __init__(self, settings: Settings, places: Places, *, peers_only: bool) -> None:
        self._settings = settings
        self._places = places
        self._peers_only = peers_only
        self._url = "" if peers_only else f"http://localhost:{settings.port}"
        self._launch = Launch(places, url=self._url)
        self._steps, self._supervisor = self._launch.steps, self._launch.supervisor
        self._peers = EmbeddedPeers(settings, places, self._steps, self._supervisor)

    async def run(self) -> None:
        await self._launch.run(self._start)

    async def _start(self) -> str:
        if not self._peers_only:
            check_port(self._settings)
        async with asyncio.TaskGroup() as group:
            started = group.create_task(self._peers.start())
            if not self._peers_only:
                group.create_task(self._prepare_server())
        if not self._peers_only:
            with self._steps.step("Start the server"):
                await self._supervisor.start(server.peer(started.result(), self._places))
        return self._greeting()

    async def _prepare_server(self) -> None:
        with self._steps.step("Bring the database up to date"):
            await migrate_database(self._settings)
        await server.ensure_pages(self._places, self._steps)

    def _greeting(self) -> str:
        if self._peers_only:
            urls = (f"{state.title}: {state.url}" for state in self._supervisor.states.values())
            return "\nThe peers are ready. " + ", ".join(urls)
        return f"\nThe platform is ready: open {self._url}  (Ctrl-C stops it)"


async def migrate_database(settings: Settings) -> None:
    """Raises LaunchFailed."""
    try:
        await migrate(settings.database)
    except UnfitDatabase as exc:
        raise LaunchFailed(str(exc), way_out=exc.way_out) from exc


def check_port(settings: Settings) -> None:
    if not is_free(settings.port, settings.host):
        raise LaunchFailed(
            f"Port {settings.port} is in use{_by_whom(settings.port)}.",
            way_out=f"Stop that, or choose another: PORT={settings.port + 1} make run",
        )
    if settings.proxy_port and not is_free(settings.proxy_port):
        raise LaunchFailed(
            f"Port {settings.proxy_port} is in use{_by_whom(settings.proxy_port)}.",
            way_out="Stop that, or choose another PROXY_PORT.",
        )


def _by_whom(port: int) -> str:
    """Return who is listening there, as far as this user can tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if connection.status == psutil.CONN_LISTEN and here:
                return f" by {psutil.Process(connection.pid).name()} ({connection.pid})"
    except (psutil.Error, ValueError, TypeError):
        return ""
    return ""
