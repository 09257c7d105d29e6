"""The database of a run, fresh each time, and its processes' links to it."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Literal, Protocol

import psycopg

from chat_platform.database.engine import migrate
from chat_platform.launcher.postgres import Postgres, throwaway_postgres
from tests.faults.clock import Clock
from tests.faults.link import Link
from tests.faults.postgres_link import PostgresLink
from tests.faults.postgres_server import CLOCK_PATH, DISK, ClockFile
from tests.faults.sqlite_link import SqliteLink, watched_sqlite

DatabaseKind = Literal["sqlite", "postgres"]


class Databases(Protocol):
    """Gives each run a fresh database, and its processes their links to it."""

    def fresh(self, clock: Clock) -> None: ...
    def new_link(self) -> Link: ...


class SqliteDatabases:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._links: dict[Path, SqliteLink] = {}
        self._template = folder / "template" / "platform.db"
        asyncio.run(migrate(f"sqlite+aiosqlite:///{self._template}"))

    def fresh(self, clock: Clock) -> None:
        shutil.rmtree(self._folder / "run", ignore_errors=True)
        (self._folder / "run").mkdir()
        shutil.copy(self._template, self._folder / "run")
        self._links.clear()

    def new_link(self) -> Link:
        # Every process reaches the same file through its own folder name.
        folder = self._folder / f"process-{next(self._numbers)}"
        folder.symlink_to(self._folder / "run", target_is_directory=True)
        link = self._links[folder] = SqliteLink(folder)
        return link

    @contextmanager
    def watched(self) -> Iterator[None]:
        with watched_sqlite(self._links.get):
            yield


class PostgresDatabases:
    def __init__(self, server: Postgres, clock_file: Path) -> None:
        self._server = server
        self._clock_file = ClockFile(clock_file)
        self._numbers = count(1)
        self._name = ""
        self._execute("create database faults_template")
        asyncio.run(migrate(server.url("faults_template")))
        self._execute(DISK, "faults_template")
        self._execute(self._clock_file.sql, "faults_template")

    def fresh(self, clock: Clock) -> None:
        if self._name:
            self._execute(f"drop database {self._name} with (force)")
        self._name = f"faults_{next(self._numbers)}"
        self._execute(f"create database {self._name} template faults_template")
        self._execute(f"alter database {self._name} set search_path = {CLOCK_PATH}")
        clock.follow(self._clock_file.write)

    def new_link(self) -> Link:
        return PostgresLink(
            self._server.url(self._name).replace("postgresql:", "postgresql+psycopg:")
        )

    def _execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self._server.url(database), autocommit=True) as connection:
            connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]


@contextmanager
def open_databases(kind: DatabaseKind) -> Iterator[Databases]:
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-faults-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if kind == "postgres":
            server = stack.enter_context(throwaway_postgres(folder))
            yield PostgresDatabases(server, server.folder / "clock")
        else:
            databases = SqliteDatabases(folder)
            stack.enter_context(databases.watched())
            yield databases
