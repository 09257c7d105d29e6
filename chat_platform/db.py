"""Engines and transactions, on SQLite (WAL) and Postgres. Knows no table."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from alembic import command
from chat_platform.group_commit.postgres import PostgresCommits
from chat_platform.group_commit.sqlite import SqliteCommits
from chat_platform.group_commit.statements import Planner

T = TypeVar("T")
Item = TypeVar("Item")

_ALEMBIC = Path(__file__).resolve().parent.parent / "alembic"
_STOP = object()


CONNECTIONS = 20
_KEPT_CONNECTIONS = 10


def open_engine(url: str, *, connections: int = CONNECTIONS) -> AsyncEngine:
    """Return an engine that opens so many connections at most: on Postgres, idle ones stay."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url)
        _set_up_sqlite(engine.sync_engine)
        return engine
    kept = min(connections, _KEPT_CONNECTIONS)
    # prepare_threshold=None: a transaction pooler gives each transaction another connection, which
    # knows none of the statements that were prepared on the last one.
    return create_async_engine(
        url,
        pool_pre_ping=True,
        pool_size=kept,
        max_overflow=connections - kept,
        connect_args={"prepare_threshold": None},
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open a session that writes; commits at the end, rolls back on any error."""
    options = {"writes": True}
    async with (
        AsyncSession(engine.execution_options(**options), expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open a session that only reads: it never waits for writers on SQLite."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


async def migrate(url: str) -> None:
    """Bring the database's schema up to date."""
    config = Config()
    config.set_main_option("script_location", str(_ALEMBIC))
    config.set_main_option("sqlalchemy.url", sync_url(url).replace("%", "%%"))
    if make_url(url).get_backend_name() == "sqlite":
        Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(command.upgrade, config, "head")


def insert_if_absent(connection: Connection, row: SQLModel) -> bool:
    """Insert the row; False, and nothing happens, when a unique index already has its like."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(type(row)).values(row.model_dump()).on_conflict_do_nothing()
    # Otherwise the driver's count of inserted rows is lost on Postgres.
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted).rowcount == 1


def sync_url(url: str) -> str:
    return url.replace("sqlite+aiosqlite", "sqlite", 1)


@dataclass(frozen=True)
class _Write:
    batch: Callable[[Connection, list[Any]], Sequence[Any]]
    item: Any
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]


class GroupWriter:
    """Runs small writes in the order they came, all that wait in one transaction.

    `write` and `put` run SQLAlchemy in a thread; `commit` runs plans on the event loop, for what
    is too hot for threads. The two know no order between them.

    A write that has returned is committed. It may run again after a rollback (another write of
    its group failed), so it must do nothing but use its connection, and it refuses by its return
    value, not by raising.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_sync_engine(url)
        self._commits = _open_commits(url)
        self._connection: Connection | None = None
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        # A caller that goes away does not undo its write.
        return await asyncio.shield(self.put(_run_each, work))

    def put(
        self, batch: Callable[[Connection, list[Item]], Sequence[T]], item: Item
    ) -> asyncio.Future[T]:
        """Queue an item at once; `batch` gets all that wait, and returns a result for each."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Write(batch, item, loop, result))
        return result

    def commit(self, planner: Planner[Item, T], item: Item) -> asyncio.Future[T]:
        """Queue an item at once; `planner` gets all that wait, and plans one transaction."""
        return self._commits.put(planner, item)

    async def close(self) -> None:
        """Finish what waits, then stop."""
        await self._commits.close()
        self._queue.put(_STOP)
        await asyncio.to_thread(self._thread.join)
        self._engine.dispose()

    def _run(self) -> None:
        is_open = True
        while is_open:
            group = [self._queue.get()]
            while not self._queue.empty():
                group.append(self._queue.get())
            is_open = _STOP not in group
            for writes in _by_batch([write for write in group if write is not _STOP]):
                self._commit(writes)
        self._disconnect()

    def _commit(self, writes: list[_Write]) -> None:
        try:
            results = self._run_in_transaction(writes)
        except Exception as exc:
            self._disconnect()
            if len(writes) > 1:
                for write in writes:
                    self._commit([write])
            else:
                _answer([(writes[0], None, exc)])
            return
        _answer([(write, result, None) for write, result in zip(writes, results, strict=True)])

    def _run_in_transaction(self, writes: list[_Write]) -> Sequence[Any]:
        # One connection is kept: taking it from the pool would ask Postgres "are you there?".
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            return writes[0].batch(self._connection, [write.item for write in writes])

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that broke may not even close.
            with suppress(Exception):
                connection.close()


def _run_each(connection: Connection, works: list[Callable[[Connection], T]]) -> list[T]:
    return [work(connection) for work in works]


def _by_batch(writes: list[_Write]) -> list[list[_Write]]:
    """Split by batch function: each has a transaction, so that they can't block one another."""
    found: dict[Callable[..., Any], list[_Write]] = {}
    for write in writes:
        found.setdefault(write.batch, []).append(write)
    return list(found.values())


def _answer(outcomes: list[tuple[_Write, Any, Exception | None]]) -> None:
    """Wake the waiting coroutines, each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Write, Any, Exception | None]]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, batch in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, batch)


def _resolve(batch: list[tuple[_Write, Any, Exception | None]]) -> None:
    for write, result, error in batch:
        if write.result.done():
            continue
        if error is None:
            write.result.set_result(result)
        else:
            write.result.set_exception(error)


def _open_commits(url: str) -> SqliteCommits | PostgresCommits:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteCommits(parsed.database or "")
    plain = parsed.set(drivername="postgresql")
    return PostgresCommits(plain.render_as_string(hide_password=False))


def open_sync_engine(url: str) -> Engine:
    """Return an engine for one thread: the group writer's, or a migration's."""
    if make_url(url).get_backend_name() == "sqlite":
        # One thread uses it, so one connection does.
        engine = create_engine(
            sync_url(url), poolclass=StaticPool, connect_args={"check_same_thread": False}
        ).execution_options(writes=True)
        _set_up_sqlite(engine)
        return engine
    return create_engine(
        url, pool_size=1, pool_pre_ping=True, connect_args={"prepare_threshold": None}
    )


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver begins nothing by itself: on_begin does, and chooses the kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=15000",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # IMMEDIATE: two readers that both turn into writers would fail, not wait.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
