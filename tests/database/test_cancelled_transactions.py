"""A cancelled task's transaction holds no lock, even while its cursor is still referenced."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.database.engine import open_engine, transaction

SLOW_INSERT = "insert into notes select pause() returning id"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "notes.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("create table notes (id text)")
    connection.close()
    return file


async def test_a_cancelled_statement_leaves_the_database_to_others(file: Path):
    engine = open_engine(f"sqlite+aiosqlite:///{file}")
    statement = _Statement()
    task = asyncio.create_task(statement.run(engine))
    await asyncio.to_thread(statement.has_begun.wait, 10)

    task.cancel()
    statement.may_end.set()
    await asyncio.wait((task,))

    assert isinstance(statement.error, asyncio.CancelledError)
    assert _note_by_another(file) == 1
    await engine.dispose()


async def test_a_disposed_engine_has_no_thread_left(file: Path):
    engine = open_engine(f"sqlite+aiosqlite:///{file}")
    statement = _Statement()
    task = asyncio.create_task(statement.run(engine))
    await asyncio.to_thread(statement.has_begun.wait, 10)
    threads = {thread for thread in threading.enumerate() if "connection_worker" in thread.name}

    # The first cancellation is waited for; the second one makes SQLAlchemy stop waiting.
    for _ in range(2):
        task.cancel()
        await asyncio.wait((task,), timeout=0.05)
    asyncio.get_running_loop().call_later(0.1, statement.may_end.set)
    await engine.dispose()

    assert task.done()
    assert threads
    assert not any(thread.is_alive() for thread in threads)


class _Statement:
    """A statement that can be cancelled while SQLite executes it.

    Its error is kept, as a logger or a cycle of references would: with the frames, and in them
    the cursor.
    """

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.error: BaseException | None = None

    async def run(self, engine: AsyncEngine) -> None:
        try:
            async with transaction(engine) as session:
                raw = await (await session.connection()).get_raw_connection()
                assert raw.driver_connection
                await raw.driver_connection.create_function("pause", 0, self._pause)
                await (await session.connection()).execute(text(SLOW_INSERT))
        except BaseException as error:
            self.error = error
            raise

    def _pause(self) -> str:
        self.has_begun.set()
        self.may_end.wait(10)
        return "a"


def _note_by_another(file: Path) -> int:
    """Write a note over a connection of its own; return how many there are. Waits for no lock."""
    with sqlite3.connect(file, timeout=0) as connection:
        connection.execute("insert into notes values ('b')")
        [[count]] = connection.execute("select count(*) from notes")
    connection.close()
    return count
