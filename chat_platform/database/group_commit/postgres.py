"""Group commit on Postgres: on the event loop, one round trip per step of a plan.

Uses libpq's pipeline mode through `psycopg.pq`: psycopg's cursors cost four times as much, and
one round trip per statement.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import psycopg
import structlog
from psycopg import pq
from psycopg.errors import (
    ConnectionTimeout,
    DuplicatePreparedStatement,
    InvalidSqlStatementName,
    LockNotAvailable,
    error_from_result,
)

from chat_platform.database.group_commit.statements import (
    Params,
    Plan,
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
from chat_platform.database.postgres_waiting import ANSWER_SECONDS, CONNECTING, LOCK_SECONDS, Silent

# `set local` would warn where no transaction was begun.
_SET_BOUND = f"select set_config('lock_timeout', '{LOCK_SECONDS}s', true)"
_SET_LAGGING = "set_config('synchronous_commit', 'off', true)"
_BOUND: tuple[Statement, Params] = (Statement(_SET_BOUND), {})
_BOUND_AND_LAGGING: tuple[Statement, Params] = (Statement(f"{_SET_BOUND}, {_SET_LAGGING}"), {})
_BEGIN: tuple[Statement, Params] = (Statement("begin"), {})
_COMMIT: tuple[Statement, Params] = (Statement("commit"), {})
_OK = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_INTEGERS = (20, 21, 23)

log = structlog.get_logger()


class PostgresCommits:
    """Writes of one event loop over one connection, which is reopened when it breaks.

    A write that has returned is durable, unless its step may lag.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pipeline: _Pipeline | None = None
        self._is_preparing = True
        self._waiting: list[Waiting] = []
        self._committing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def put(self, planner: Planner[Any, Any], item: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        write = Waiting(planner, item, loop.create_future())
        self._waiting.append(write)
        if self._committing is None:
            self._committing = loop.create_task(self._commit_waiting())
        return write.result

    async def close(self) -> None:
        """Finish the waiting writes, then stop."""
        while self._committing:
            await asyncio.wait((self._committing,))
        await self._disconnect()

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                groups, self._waiting = by_work(self._waiting), []
                while groups:
                    groups[:1] = tell_all(await self._commit(groups[0]), Outcome.tell)
        finally:
            self._committing = None

    async def _commit(self, group: Sequence[Waiting]) -> list[Outcome]:
        try:
            return outcomes_of(group, await self._run_again_if_cut(group))
        except Exception as error:
            # Closing the connection rolls back reliably, and drops half-prepared statements.
            await self._disconnect()
            # After a lock timeout, try each write alone: only those that need the lock wait again.
            is_away = isinstance(error, psycopg.OperationalError)
            if len(group) == 1 or (is_away and not isinstance(error, LockNotAvailable)):
                return [Outcome(write, error=error) for write in group]
        return [outcome for write in group for outcome in await self._commit([write])]

    async def _run_again_if_cut(self, group: Sequence[Waiting]) -> Sequence[Any]:
        """Run the group; retry once if the connection was lost, or a deadlock was resolved."""
        try:
            return await self._run(group)
        except (DuplicatePreparedStatement, InvalidSqlStatementName):
            # A pooler that gives each transaction a different connection.
            self._is_preparing = False
        except (Silent, ConnectionTimeout, LockNotAvailable):
            # A retry would keep everybody waiting for as long again.
            raise
        except psycopg.OperationalError as error:
            log.warning("group_commit.again", error=type(error).__name__)
        await self._disconnect()
        return await self._run(group)

    async def _run(self, group: Sequence[Waiting]) -> Sequence[Any]:
        pipeline = await self._connect()
        plan = group[0].work([write.item for write in group])
        try:
            step = next(plan)
            if step.is_last:
                # All that is sent until a Sync is one transaction, which the Sync commits.
                bound = _BOUND_AND_LAGGING if step.may_lag else _BOUND
                _, *rows = await pipeline.exchange([bound, *step.queries])
                step = plan.send(rows)
        except StopIteration as end:
            return end.value
        return await _run_in_steps(pipeline, plan, step)

    async def _connect(self) -> "_Pipeline":
        if self._pipeline and self._pipeline.is_broken:
            await self._disconnect()
        if self._pipeline is None:
            connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                client_encoding="utf8",
                **CONNECTING,
            )
            self._pipeline = _Pipeline(connection, is_preparing=self._is_preparing)
        return self._pipeline

    async def _disconnect(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            await pipeline.close()


async def _run_in_steps(pipeline: "_Pipeline", plan: Plan[Any], step: Step) -> Sequence[Any]:
    beginning, is_committed = [_BEGIN, _BOUND], False
    try:
        while True:
            end = [_COMMIT] if step.is_last else []
            rows = await pipeline.exchange([*beginning, *step.queries, *end])
            rows = rows[len(beginning) : len(rows) - len(end)]
            beginning, is_committed = [], step.is_last
            step = plan.send(rows)
    except StopIteration as end:
        if not is_committed:
            await pipeline.exchange([_COMMIT])
        return end.value


class _Pipeline:
    """One connection in pipeline mode: many statements out, many results back."""

    def __init__(self, connection: psycopg.AsyncConnection, *, is_preparing: bool) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._pgconn.enter_pipeline_mode()
        self._is_preparing = is_preparing
        self._prepared: set[bytes] = set()
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._readable: asyncio.Future[None] | None = None
        self._is_silent = False
        self.is_broken = False
        self._loop.add_reader(self._socket, self._read)

    async def close(self) -> None:
        self._loop.remove_reader(self._socket)
        with suppress(psycopg.Error):
            await self._connection.close()

    async def exchange(self, queries: Sequence[tuple[Statement, Params]]) -> list[Rows]:
        """Send the statements at once; return the rows of each.

        Raises psycopg.Error; Silent when the answer takes too long.
        """
        # A fraction of the cost of `asyncio.timeout`.
        limit = self._loop.call_later(ANSWER_SECONDS, self._fall_silent)
        try:
            return await self._exchange(queries)
        finally:
            limit.cancel()

    async def _exchange(self, queries: Sequence[tuple[Statement, Params]]) -> list[Rows]:
        news = [self._send(statement, params) for statement, params in queries]
        self._pgconn.pipeline_sync()
        while self._pgconn.flush():
            # The socket is full: Postgres may be waiting for us to read.
            await asyncio.sleep(0.001)
            self._ensure_heard()
        results = await self._results()
        failed = [result for result in results if result.status not in _OK]
        if failed:
            raise error_from_result(failed[0])
        return [_decoded(result) for result in _without_prepares(results, news)]

    def _send(self, statement: Statement, params: Params) -> bool:
        """Queue the statement; return whether it had to be prepared first."""
        values = [_encoded(params[name]) for name in statement.names]
        if not self._is_preparing:
            self._pgconn.send_query_params(statement.postgres, values)
            return False
        is_new = statement.prepared_name not in self._prepared
        if is_new:
            self._pgconn.send_prepare(statement.prepared_name, statement.postgres)
            self._prepared.add(statement.prepared_name)
        self._pgconn.send_query_prepared(statement.prepared_name, values)
        return is_new

    async def _results(self) -> list[pq.abc.PGresult]:
        results: list[pq.abc.PGresult] = []
        while True:
            while self._pgconn.is_busy() and not self.is_broken:
                self._readable = self._loop.create_future()
                await self._readable
                self._ensure_heard()
            if self.is_broken or self._pgconn.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection to Postgres was lost")
            result = self._pgconn.get_result()
            if result and result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            if result:
                results.append(result)

    def _fall_silent(self) -> None:
        self._is_silent = True
        self._wake()

    def _ensure_heard(self) -> None:
        if self._is_silent:
            raise Silent("Postgres does not answer")

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.OperationalError:
            self.is_broken = True
            self._loop.remove_reader(self._socket)
        self._wake()

    def _wake(self) -> None:
        readable, self._readable = self._readable, None
        if readable and not readable.done():
            readable.set_result(None)


def _without_prepares(results: list[pq.abc.PGresult], news: list[bool]) -> list[pq.abc.PGresult]:
    left = iter(results)
    kept: list[pq.abc.PGresult] = []
    for is_new in news:
        if is_new:
            next(left)
        kept.append(next(left))
    return kept


def _encoded(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, list):
        return b"{%b}" % b",".join(map(_quoted, cast(list[str], value)))
    return str(value).encode()


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _decoded(result: pq.abc.PGresult) -> Rows:
    columns = range(result.nfields)
    are_integers = [result.ftype(column) in _INTEGERS for column in columns]
    return [
        [_value(result.get_value(row, column), are_integers[column]) for column in columns]
        for row in range(result.ntuples)
    ]


def _value(raw: bytes | None, is_integer: bool) -> int | str | None:
    if raw is None:
        return None
    return int(raw) if is_integer else raw.decode()
