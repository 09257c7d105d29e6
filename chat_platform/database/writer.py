"""Group commit for writes that many make at once: all that wait share one transaction."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from chat_platform.database.engine import open_writer_engine
from chat_platform.database.group_commit.postgres import PostgresCommits
from chat_platform.database.group_commit.sqlite import SqliteCommits
from chat_platform.database.group_commit.statements import Planner
from chat_platform.database.group_commit.waiting import Outcome, Waiting, by_work, outcomes_of

T = TypeVar("T")
Item = TypeVar("Item")

_STOP = object()


class GroupWriter:
    """Runs small writes in order, all waiting ones in one transaction.

    `write` is for a write of its own, `write_together` for one that many make at once; both run
    SQLAlchemy in a thread. `commit` runs plans on the event loop, where a thread costs too much.
    The order between the thread and the loop is undefined. `docs/adr/0008` has the measurements.

    A write that has returned is committed. It may run again after a rollback (another write of
    its group failed, or the connection was lost before the commit), so it must do nothing but use
    its connection, and it refuses by its return value, not by raising. A connection lost during
    the commit is an error: nobody knows whether the write was committed.
    """

    def __init__(self, url: str, *, survives_power_cuts: bool = False) -> None:
        self._engine = open_writer_engine(url, survives_power_cuts=survives_power_cuts)
        self._commits = _open_commits(url, survives_power_cuts=survives_power_cuts)
        self._connection: Connection | None = None
        self._is_committing = False
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self.write_together(_run_each, work)

    async def write_together(
        self, batch: Callable[[Connection, list[Item]], Sequence[T]], item: Item
    ) -> T:
        """Write an item; `batch` gets all waiting items and returns a result for each.

        Cancelling the caller does not undo its write.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(batch, item, result))
        return await asyncio.shield(result)

    def commit(self, planner: Planner[Item, T], item: Item) -> asyncio.Future[T]:
        """Queue an item at once; `planner` gets all waiting items and plans one transaction."""
        return self._commits.put(planner, item)

    @property
    def waiting(self) -> int:
        """How many writes wait for their transaction."""
        return self._queue.qsize() + self._commits.waiting

    async def close(self) -> None:
        """Finish the waiting writes, then stop."""
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
            for writes in by_work([write for write in group if write is not _STOP]):
                self._commit(writes)
        self._disconnect()

    def _commit(self, writes: list[Waiting]) -> None:
        try:
            results = self._run_again_if_cut(writes)
        except Exception as exc:
            self._disconnect()
            if len(writes) > 1 and not self._is_committing:
                for write in writes:
                    self._commit([write])
            else:
                _tell([Outcome(write, error=exc) for write in writes])
            return
        _tell(outcomes_of(writes, results))

    def _run_again_if_cut(self, writes: list[Waiting]) -> Sequence[Any]:
        """Run the writes; retry once if the connection was lost before they were committed.

        The first write after a restart of Postgres finds a dead connection.
        """
        try:
            return self._run_in_transaction(writes)
        except DBAPIError as error:
            if self._is_committing or not error.connection_invalidated:
                raise
        self._disconnect()
        return self._run_in_transaction(writes)

    def _run_in_transaction(self, writes: list[Waiting]) -> Sequence[Any]:
        self._is_committing = False
        # One connection is kept: taking one from the pool would ping Postgres each time.
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            results = writes[0].work(self._connection, [write.item for write in writes])
            self._is_committing = True
        return results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing a broken connection may fail too.
            with suppress(Exception):
                connection.close()


def _run_each(connection: Connection, works: list[Callable[[Connection], T]]) -> list[T]:
    return [work(connection) for work in works]


def _tell(outcomes: list[Outcome]) -> None:
    """Wake the waiting coroutines, with one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.waiting.result.get_loop(), []).append(outcome)
    for loop, told in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_tell_each, told)


def _tell_each(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()


def _open_commits(url: str, *, survives_power_cuts: bool) -> SqliteCommits | PostgresCommits:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteCommits(parsed.database or "", survives_power_cuts=survives_power_cuts)
    plain = parsed.set(drivername="postgresql")
    return PostgresCommits(plain.render_as_string(hide_password=False))
