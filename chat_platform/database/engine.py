"""Engines and transactions, on SQLite (WAL) and Postgres. Knows no table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from alembic import command
from chat_platform.database.connection_threads import ConnectionThreads
from chat_platform.database.postgres_waiting import (
    BOUND_LOCKS,
    CONNECTING,
    BoundedAsyncConnection,
    BoundedConnection,
)
from chat_platform.database.sqlite_pragmas import pragmas

_ALEMBIC = Path(__file__).resolve().parents[2] / "alembic"


CONNECTIONS = 20
_KEPT_CONNECTIONS = 10


def open_engine(
    url: str, *, connections: int = CONNECTIONS, survives_power_cuts: bool = False
) -> AsyncEngine:
    """Return an engine with at most this many connections; on Postgres, idle ones stay open.

    `survives_power_cuts` is for SQLite: Postgres's commits always do.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url, survives_power_cuts=survives_power_cuts)
    kept = min(connections, _KEPT_CONNECTIONS)
    # prepare_threshold=None: a transaction pooler gives each transaction another connection, which
    # knows none of the statements that were prepared on the last one.
    engine = create_async_engine(
        url,
        # Errors would quote what people wrote, and logs contain errors.
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=kept,
        max_overflow=connections - kept,
        connect_args={
            "prepare_threshold": None,
            "async_creator_fn": BoundedAsyncConnection.connect,
            **CONNECTING,
        },
    )
    event.listen(engine.sync_engine, "begin", _bound_locks)
    return engine


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


class UnfitDatabase(Exception):
    """The platform cannot use the database: its text says why, `way_out` what to do."""

    way_out = ""


class NewerSchema(UnfitDatabase):
    """A newer release has migrated the database."""

    way_out = "Install that release, or restore a backup."

    def __init__(self) -> None:
        super().__init__("The database belongs to a newer release.")


class NotUtf8(UnfitDatabase):
    """The database stores text in another encoding than UTF-8."""

    way_out = "Use one that was created with `encoding 'UTF8' template template0`."

    def __init__(self, encoding: str) -> None:
        super().__init__(f"The database's encoding is {encoding}, and must be UTF8.")


class Unreachable(UnfitDatabase):
    """The database does not answer, or refuses us."""

    way_out = "Check DATABASE_URL, and that Postgres is running."

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database does not let us in: {reason.strip().splitlines()[-1]}")


async def migrate(url: str) -> None:
    """Migrate the database's schema. Raises UnfitDatabase."""
    config = Config()
    config.set_main_option("script_location", str(_ALEMBIC))
    config.set_main_option("sqlalchemy.url", sync_url(url).replace("%", "%%"))
    if make_url(url).get_backend_name() == "sqlite":
        Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
    else:
        await asyncio.to_thread(_ensure_utf8, url)
    try:
        await asyncio.to_thread(command.upgrade, config, "head")
    except CommandError as exc:
        if isinstance(exc.__cause__, ResolutionError):
            raise NewerSchema from exc
        raise


def _ensure_utf8(url: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, client_encoding="utf8", **CONNECTING) as connection:
            encoding = connection.info.parameter_status("server_encoding") or ""
    except psycopg.OperationalError as exc:
        raise Unreachable(str(exc)) from exc
    if encoding != "UTF8":
        raise NotUtf8(encoding)


def knows_schema(revision: str) -> bool:
    """Return whether this release can migrate from that revision, or is at it."""
    return any(script.revision == revision for script in ScriptDirectory(_ALEMBIC).walk_revisions())


def insert_if_absent(connection: Connection, row: SQLModel, **computed: ColumnElement[Any]) -> bool:
    """Insert the row, with these columns as the database computes them; return False, without
    effect, if it violates a unique index."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(type(row)).values(row.model_dump() | computed).on_conflict_do_nothing()
    )
    # Without this the driver's count of inserted rows is lost on Postgres.
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted).rowcount == 1


def sync_url(url: str) -> str:
    return url.replace("sqlite+aiosqlite", "sqlite", 1)


def open_writer_engine(url: str, *, survives_power_cuts: bool = False) -> Engine:
    """Return the group writer's engine: for one thread, with a limit on every wait."""
    engine = open_sync_engine(url, survives_power_cuts=survives_power_cuts)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", _connect_bounded)
        engine = engine.execution_options(writes=True)
        event.listen(engine, "begin", _bound_locks)
    return engine


def open_sync_engine(url: str, *, survives_power_cuts: bool = False) -> Engine:
    """Return an engine for one thread: the group writer's, or a migration's."""
    if make_url(url).get_backend_name() == "sqlite":
        # One thread uses it, so one connection is enough.
        engine = create_engine(
            sync_url(url),
            hide_parameters=True,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        ).execution_options(writes=True)
        _set_up_sqlite(engine, survives_power_cuts=survives_power_cuts)
        return engine
    return create_engine(
        url,
        hide_parameters=True,
        pool_size=1,
        pool_pre_ping=True,
        connect_args={"prepare_threshold": None, **CONNECTING},
    )


def _open_sqlite(url: str, *, survives_power_cuts: bool) -> AsyncEngine:
    threads = ConnectionThreads()
    engine = create_async_engine(
        url, hide_parameters=True, connect_args={"async_creator_fn": threads.connect}
    )
    _set_up_sqlite(engine.sync_engine, survives_power_cuts=survives_power_cuts)
    event.listen(engine.sync_engine, "close", _roll_back)

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def on_disposed(_: Engine) -> None:
        await_only(threads.ended())

    return engine


def _connect_bounded(
    _dialect: object, _record: object, args: list[Any], params: dict[str, Any]
) -> BoundedConnection:
    return BoundedConnection.connect(*args, **params)


def _bound_locks(connection: Connection) -> None:
    """Limit waits for row locks; transactions that only read never wait for one."""
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(BOUND_LOCKS)


def _roll_back(connection: Any, _record: Any) -> None:
    """End the transaction of a connection that is closed in the middle of it, after a cancellation.

    SQLite closes a connection only when its last statement is gone: until then, a cursor that
    anything still refers to would keep the write lock. Put into the queue of the connection's
    thread, and not awaited: the event loop may be closing too.
    """
    driver = connection.driver_connection
    if driver._connection is not None:
        driver._tx.put_nowait((None, driver._connection.rollback))


def _set_up_sqlite(engine: Engine, *, survives_power_cuts: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver begins no transaction itself: on_begin does, and chooses the kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (*pragmas(survives_power_cuts=survives_power_cuts), "busy_timeout=15000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # IMMEDIATE: two readers that both become writers would fail instead of waiting.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
