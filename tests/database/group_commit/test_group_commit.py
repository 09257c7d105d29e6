"""Writes on the event loop: one transaction per group, whatever another connection does."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from chat_platform.database.engine import open_engine, transaction
from chat_platform.database.group_commit.sqlite import SqliteCommits
from chat_platform.database.group_commit.statements import Plan, Statement, Step
from chat_platform.database.writer import GroupWriter
from tests.waiting import eventually

INSERT = Statement("insert into notes (id, size) values (:id, :size)")
SIZES = Statement("select id, size from notes where id in :ids order by id")

Note = tuple[str, int | None]


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[GroupWriter]:
    engine = open_engine(database_url)
    async with transaction(engine) as session:
        await session.execute(text("create table notes (id text primary key, size bigint)"))
    await engine.dispose()
    writer = GroupWriter(database_url)
    yield writer
    await writer.close()


def insert(notes: list[Note]) -> Plan[int]:
    step = Step(is_last=True)
    for name, size in notes:
        step.add(INSERT, id=name, size=size)
    yield step
    return [len(notes)] * len(notes)


def sizes(asked: list[list[str]]) -> Plan[list[Note]]:
    step = Step()
    for ids in asked:
        step.add(SIZES, ids=ids)
    found = yield step
    return [[(row[0], row[1]) for row in rows] for rows in found]


async def test_what_waits_shares_a_transaction_and_is_read_back_as_it_was(writer: GroupWriter):
    odd = 'a "quoted" \\ note, {with} braces, wörld'
    results = await asyncio.gather(
        writer.commit(insert, (odd, 2**60)), writer.commit(insert, ("none", None))
    )

    assert results == [2, 2]
    assert await writer.commit(sizes, [odd, "none"]) == [(odd, 2**60), ("none", None)]


async def test_many_lists_find_their_own_rows(writer: GroupWriter):
    await writer.commit(insert, ("a", 1))

    found = await asyncio.gather(*(writer.commit(sizes, ids) for ids in (["a"], [], ["b"])))

    assert found == [[("a", 1)], [], []]


@pytest.mark.parametrize(("company", "group"), [([], 1), ([("company", 1)], 2)])
async def test_only_writes_that_come_in_numbers_wait_for_others(
    database_url: str, writer: GroupWriter, company: list[Note], group: int
):
    if not database_url.startswith("sqlite"):
        pytest.skip("on Postgres a group is what waits for a connection")
    await asyncio.gather(*(writer.commit(insert, note) for note in [("before", 1), *company]))

    first = writer.commit(insert, ("first", 1))
    await asyncio.sleep(0)
    second = writer.commit(insert, ("second", 2))

    assert await asyncio.gather(first, second) == [group, group]


async def test_a_write_that_fails_fails_alone(writer: GroupWriter):
    await writer.commit(insert, ("taken", 1))

    writes = [writer.commit(insert, (name, 1)) for name in ("first", "taken", "last")]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    assert len(await writer.commit(sizes, ["first", "taken", "last"])) == 3


async def test_what_waits_at_the_end_is_written(database_url: str, writer: GroupWriter):
    last = writer.commit(insert, ("last", 1))
    await writer.close()

    assert await last == 1


async def test_a_database_that_another_connection_writes_is_waited_for(
    database_url: str, writer: GroupWriter
):
    if not database_url.startswith("sqlite"):
        pytest.skip("Postgres locks rows, not databases")
    file = make_url(database_url).database or ""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        tries = _tries(writer)
        first = writer.commit(insert, ("first", 1))
        # The second is patient: it waits for the lock.
        await eventually(lambda: len(tries) == 2)
        second = writer.commit(insert, ("second", 2))
        await asyncio.sleep(0)
        assert not first.done()

        other.execute("commit")

    assert await asyncio.gather(first, second) == [1, 1]
    assert await writer.commit(insert, ("third", 3)) == 1


def _tries(writer: GroupWriter) -> list[str]:
    """Return a list that grows with each transaction that the writer tries to begin."""
    tries: list[str] = []
    assert isinstance(writer._commits, SqliteCommits)
    writer._commits._connect().set_trace_callback(
        lambda statement: tries.append(statement) if statement == "begin immediate" else None
    )
    return tries


class TestPostgres:
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_what_fails_only_at_the_commit_has_failed(
        self, database_url: str, writer: GroupWriter
    ):
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute("alter table notes add unique (size) deferrable initially deferred")

        writes = [
            writer.commit(insert, note) for note in (("first", 1), ("second", 1), ("third", 3))
        ]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)

        assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
        assert len(await writer.commit(sizes, ["first", "second", "third"])) == 2

    async def test_a_lost_connection_is_opened_again(self, database_url: str, writer: GroupWriter):
        await writer.commit(insert, ("before", 1))
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

        assert await writer.commit(insert, ("after", 2)) == 1

    async def test_a_pooler_that_forgets_prepared_statements_is_served_without(
        self, writer: GroupWriter
    ):
        await writer.commit(insert, ("before", 1))

        def forget(items: list[None]) -> Plan[None]:
            step = Step()
            step.add(Statement("deallocate all"))
            yield step
            return items

        await writer.commit(forget, None)

        assert await writer.commit(insert, ("after", 2)) == 1
        assert await writer.commit(sizes, ["after"]) == [("after", 2)]
