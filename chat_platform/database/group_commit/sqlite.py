"""Group commit on SQLite: on the event loop itself, where a transaction takes 0.1 ms.

Handing it to a thread and waking up again costs several times that. Only when another connection
is writing does a thread wait for it; writes that arrive in the meantime are queued in order.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import Any

from chat_platform.database.group_commit.statements import (
    Params,
    Planner,
    Rows,
    Statement,
    Step,
)
from chat_platform.database.group_commit.waiting import (
    Outcome,
    Waiting,
    by_work,
    outcomes_of,
    tell_all,
)
from chat_platform.database.sqlite_pragmas import pragmas

BUSY_TIMEOUT_MS = 15_000
CHECKPOINT_EVERY = 500
"""Groups between two checkpoints: SQLite's own, after 1,000 pages, would block the loop for as
long as the disk needs."""

_ROUNDS = 3
"""How many rounds of the loop gather a group's writes while calls come in numbers. At 32 callers
that saves a sixth of the CPU per call; a round takes microseconds."""

_Tell = Callable[[Outcome], object]


class SqliteCommits:
    """Writes that have returned survive the death of the process; a power cut may undo the most
    recent ones, unless they shall survive that too. For one event loop."""

    def __init__(self, file: str, *, survives_power_cuts: bool = False) -> None:
        self._file = file
        self._pragmas = pragmas(survives_power_cuts=survives_power_cuts)
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[Waiting] = []
        self._is_scheduled = False
        self._had_company = False
        """The last group had several writes: it is worth a moment to wait for others."""
        self._commits = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="group-commit")
        self._patient: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def put(self, planner: Planner[Any, Any], item: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        write = Waiting(planner, item, loop.create_future())
        self._waiting.append(write)
        self._schedule(loop)
        return write.result

    async def close(self) -> None:
        """Finish the waiting writes, then stop."""
        while self._is_scheduled:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await asyncio.to_thread(self._thread.shutdown)
        self._disconnect()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._gather, loop, _ROUNDS if self._had_company else 0)

    def _gather(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        if rounds:
            loop.call_soon(self._gather, loop, rounds - 1)
        else:
            self._flush(loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._had_company = len(self._waiting) > 1
        groups, self._waiting = by_work(self._waiting), []
        try:
            self._commit_all(groups, Outcome.tell)
        except sqlite3.OperationalError:
            # Another connection is writing: wait for it in a thread, not on the loop.
            self._patient = loop.create_task(self._wait_and_commit(loop, groups))
            return
        self._is_scheduled = False
        if self._commits >= CHECKPOINT_EVERY:
            self._commits = 0
            self._thread.submit(_check_point, self._file)

    async def _wait_and_commit(
        self, loop: asyncio.AbstractEventLoop, groups: list[list[Waiting]]
    ) -> None:
        def tell(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(outcome.tell)

        await loop.run_in_executor(self._thread, self._commit_patiently, groups, tell)
        self._is_scheduled = False
        self._schedule(loop)

    def _commit_patiently(self, groups: list[list[Waiting]], tell: _Tell) -> None:
        try:
            self._be_patient(BUSY_TIMEOUT_MS)
            self._commit_all(groups, tell)
            self._be_patient(0)
        except sqlite3.OperationalError as error:
            self._disconnect()
            for write in chain(*groups):
                tell(Outcome(write, error=error))

    def _commit_all(self, groups: list[list[Waiting]], tell: _Tell) -> None:
        """Commit the groups one by one, removing each from the list.

        Raises OperationalError when the next could not even begin.
        """
        while groups:
            outcomes = self._commit(groups[0])
            if outcomes is None:
                groups[:1] = [[write] for write in groups[0]]
                continue
            groups[:1] = tell_all(outcomes, tell)

    def _commit(self, group: Sequence[Waiting]) -> list[Outcome] | None:
        """Return the outcome, None if one of several failed: each then gets its own transaction."""
        connection = self._connect()
        connection.execute("begin immediate")
        try:
            values = _run(connection, group)
            connection.execute("commit")
        except Exception as error:
            _roll_back(connection)
            return [Outcome(group[0], error=error)] if len(group) == 1 else None
        self._commits += 1
        return outcomes_of(group, values)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(
                self._file, *self._pragmas, "busy_timeout=0", "wal_autocheckpoint=0"
            )
        return self._connection

    def _be_patient(self, milliseconds: int) -> None:
        self._connect().execute(f"pragma busy_timeout={milliseconds}")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _open(file: str, *told: str) -> sqlite3.Connection:
    # Used by the loop's thread or the waiting one, never by both at once.
    connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    for pragma in told:
        connection.execute(f"pragma {pragma}")
    return connection


def _run(connection: sqlite3.Connection, group: Sequence[Waiting]) -> Sequence[Any]:
    plan = group[0].work([write.item for write in group])
    try:
        step = next(plan)
        while True:
            step = plan.send(_rows(connection, step))
    except StopIteration as end:
        return end.value


def _rows(connection: sqlite3.Connection, step: Step) -> list[Rows]:
    return [_executed(connection, statement, params) for statement, params in step.queries]


def _executed(connection: sqlite3.Connection, statement: Statement, params: Params) -> Rows:
    if statement.only_locks:
        return []
    texts, values = statement.sqlite(params)
    for text in texts[:-1]:
        connection.execute(text, values)
    return connection.execute(texts[-1], values).fetchall()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("rollback")


def _check_point(file: str) -> None:
    with suppress(sqlite3.Error):
        connection = _open(file, *pragmas())
        connection.execute("pragma wal_checkpoint(PASSIVE)")
        connection.close()
