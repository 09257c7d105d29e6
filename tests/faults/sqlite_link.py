"""Watches one process's connections to SQLite: statements fail as SQLite itself would fail them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import dbapi2
from threading import RLock
from typing import Any
from unittest import mock

_NO_LIMIT = 2**32 - 2
_HARMLESS = ("rollback", "pragma")


@dataclass
class SqliteLink:
    """Watches one process's connections, identified by the folder of their file."""

    folder: Path
    url: str = ""
    met: list[str] = field(default_factory=list)
    has_clock = False

    def __post_init__(self) -> None:
        self._connections: list[_WatchedConnection] = []
        self._due: int | None = None
        self._is_away = self._is_dead = self._is_full = False

    async def open(self) -> None:
        self.url = f"sqlite+aiosqlite:///{self.folder}/platform.db"

    def cut(self, after: int) -> None:
        self._due = after

    def lose_answer(self, after: int, *, told_bytes: int = 0) -> None:
        """SQLite cannot lose an answer to a commit, so a statement fails instead."""
        self._due = after

    def refuse(self, is_away: bool) -> None:
        self._is_away = is_away

    def fall_silent(self, *, is_heard: bool) -> None:
        """SQLite is a file: it answers, or it is locked."""
        self.refuse(True)

    def speak(self) -> None:
        self.refuse(False)

    def fill_disk(self, is_full: bool) -> None:
        self._is_full = is_full

    def cut_for_ever(self) -> None:
        self._is_dead = True
        for connection in self._connections:
            with suppress(sqlite3.Error):
                connection.interrupt()
                # A statement that was let pass must not come after the rollback: it would be a
                # transaction of its own.
                with connection.guard:
                    sqlite3.Connection.rollback(connection)

    async def close(self) -> None:
        self.cut_for_ever()

    def take(self, connection: "_WatchedConnection") -> None:
        self._connections.append(connection)

    def meet(self, connection: sqlite3.Connection, statement: str) -> None:
        """Let the statement pass, or raise what SQLite would."""
        if statement.lower().startswith(_HARMLESS):
            return
        if self._is_dead:
            raise sqlite3.OperationalError("this process is dead")
        if self._is_away:
            self.met.append("database_locked")
            raise sqlite3.OperationalError("database is locked")
        if self._due is not None:
            self._due -= 1
            if self._due < 0:
                self._due = None
                self.met.append("statement_failed")
                raise sqlite3.OperationalError("disk I/O error")
        if statement.lower().startswith("begin immediate"):
            self._limit_size(connection)

    def _limit_size(self, connection: sqlite3.Connection) -> None:
        cursor = sqlite3.Cursor(connection)
        limit = _NO_LIMIT
        if self._is_full:
            self.met.append("disk_full")
            [limit] = cursor.execute("pragma page_count").fetchone()
        cursor.execute(f"pragma max_page_count={limit}").fetchall()


class _WatchedCursor(sqlite3.Cursor):
    def execute(self, sql: str, *args: Any) -> "sqlite3.Cursor":
        with _met(self.connection, sql):
            return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> "sqlite3.Cursor":
        with _met(self.connection, sql):
            return super().executemany(sql, *args)


@contextmanager
def _met(connection: sqlite3.Connection, statement: str) -> Iterator[None]:
    assert isinstance(connection, _WatchedConnection)
    with connection.guard:
        connection.link.meet(connection, statement)
        yield


class _WatchedConnection(sqlite3.Connection):
    link: SqliteLink
    guard: RLock
    """Held while a statement is let pass and executed."""

    def cursor(self, factory: Any = None) -> sqlite3.Cursor:
        return super().cursor(factory or _WatchedCursor)

    def commit(self) -> None:
        with _met(self, "commit"):
            super().commit()


@contextmanager
def watched_sqlite(link_of: Callable[[Path], SqliteLink | None]) -> Iterator[None]:
    """Make every connection opened from now on pass its link."""
    connect = sqlite3.connect

    def watching(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        link = link_of(Path(database).parent)
        if link is None:
            return connect(database, *args, **options)
        # A killed process's transactions are rolled back from the thread that kills it.
        options |= {"factory": _WatchedConnection, "check_same_thread": False}
        connection = connect(database, *args, **options)
        assert isinstance(connection, _WatchedConnection)
        connection.link, connection.guard = link, RLock()
        link.take(connection)
        return connection

    with (
        mock.patch.object(sqlite3, "connect", watching),
        mock.patch.object(dbapi2, "connect", watching),
    ):
        yield
