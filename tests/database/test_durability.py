"""What a commit waits for, as DURABILITY says."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Connection, text

from chat_platform.billing.ledger_writes import booking
from chat_platform.context import AppContext
from chat_platform.database.engine import migrate, reading
from chat_platform.database.group_commit.statements import Plan, Statement, Step
from chat_platform.launcher.postgres import Postgres, ensure_database, throwaway_postgres
from chat_platform.settings import Settings
from chat_platform.wiring import open_context
from tests.contexts import new_settings, open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.ledger_entries import intent, new_payer, opened, settlement
from tests.open_folder import new_open_folder
from tests.waiting import wait_for

FULL, NORMAL = 2, 1
A_WHILE_SECONDS = 1.0
LONG_SECONDS = 30.0


@pytest.mark.parametrize(
    ("durability", "synchronous"), [("full", FULL), ("usual", NORMAL), ("relaxed", NORMAL)]
)
async def test_every_connection_to_sqlite_waits_for_the_disk_as_told(
    tmp_path: Path, durability: str, synchronous: int
):
    url = f"sqlite+aiosqlite:///{tmp_path / 'platform.db'}"
    await migrate(url)

    async with open_context(_with(new_settings(tmp_path, url), durability)) as ctx:
        async with reading(ctx.engine) as session:
            connection = await session.connection()
            of_engine = (await connection.execute(text("pragma synchronous"))).scalar_one()
        of_thread = await ctx.writer.write(_synchronous)
        of_loop = await ctx.writer.commit(_asking("pragma synchronous"), None)

    assert [of_engine, of_thread, of_loop] == [synchronous] * 3


@pytest.mark.slow
class TestPostgres:
    """A standby that must confirm each commit, and does not, shows which of them wait."""

    @pytest.fixture(scope="class")
    def server(self) -> Iterator[Postgres]:
        with new_open_folder() as folder, throwaway_postgres(folder, is_durable=True) as server:
            ensure_database(server, "platform")
            asyncio.run(migrate(server.url("platform")))
            yield server

    @pytest.mark.parametrize("durability", ["full", "usual", "relaxed"])
    async def test_only_ends_of_calls_are_committed_without_waiting_and_only_if_relaxed(
        self, server: Postgres, tmp_path: Path, durability: str
    ):
        settings = _with(new_settings(tmp_path, server.url("platform")), durability)
        fakes = FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer()
        async with open_test_context(settings, *fakes) as ctx:
            payer = await new_payer(ctx, durability)
            ended, other = intent(ctx, payer), intent(ctx, payer)
            await opened(ctx, ended)
            await opened(ctx, other)
            with _nobody_confirms(server):
                end = _commit(ctx, settlement(ended, 5))
                is_committed = await _is_done(end, A_WHILE_SECONDS)
                beginning = _commit(ctx, intent(ctx, payer))
                has_begun = await _is_done(beginning, A_WHILE_SECONDS)
            await asyncio.wait({end, beginning}, timeout=LONG_SECONDS)

        assert is_committed == (durability == "relaxed")
        assert not has_begun
        assert end.done()
        assert beginning.done()

    async def test_an_end_that_shares_its_transaction_with_a_beginning_waits(
        self, server: Postgres, tmp_path: Path
    ):
        settings = _with(new_settings(tmp_path, server.url("platform")), "relaxed")
        fakes = FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer()
        async with open_test_context(settings, *fakes) as ctx:
            alice, bob = await new_payer(ctx, "alice"), await new_payer(ctx, "bob")
            ended = intent(ctx, alice)
            await opened(ctx, ended)
            await opened(ctx, intent(ctx, bob))
            with _nobody_confirms(server):
                both = {_commit(ctx, intent(ctx, bob)), _commit(ctx, settlement(ended, 5))}
                done, _ = await asyncio.wait(both, timeout=A_WHILE_SECONDS)
            await asyncio.wait(both, timeout=LONG_SECONDS)

        assert not done


def _with(settings: Settings, durability: str) -> Settings:
    return settings.model_copy(update={"durability": durability})


def _commit(ctx: AppContext, entry: Any) -> asyncio.Future[Any]:
    return ctx.writer.commit(booking(ctx.settings), entry)


async def _is_done(future: asyncio.Future[Any], seconds: float) -> bool:
    done, _ = await asyncio.wait({future}, timeout=seconds)
    return bool(done)


@contextmanager
def _nobody_confirms(server: Postgres) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread, psycopg.connect(server.url(), autocommit=True) as us:
        us.execute("set synchronous_commit = local")
        us.execute("alter system set synchronous_standby_names = 'nobody'")
        us.execute("select pg_reload_conf()")
        try:
            # Postgres's processes hear of it one after the other: until somebody waits.
            thread.submit(_commit_again_and_again, server, over)
            wait_for(lambda: _waiting_for_standbys(us), seconds=LONG_SECONDS)
            yield
        finally:
            over.set()
            us.execute("alter system reset synchronous_standby_names")
            us.execute("select pg_reload_conf()")


def _commit_again_and_again(server: Postgres, over: threading.Event) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create table if not exists written (number int)")
        while not over.is_set():
            connection.execute("insert into written values (1)")


def _waiting_for_standbys(connection: psycopg.Connection) -> int:
    query = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
    row = connection.execute(query).fetchone()
    return row[0] if row else 0


def _synchronous(connection: Connection) -> int:
    return connection.execute(text("pragma synchronous")).scalar_one()


def _asking(statement: str) -> Callable[[list[None]], Plan[int]]:
    def plan(items: list[None]) -> Plan[int]:
        step = Step()
        step.add(Statement(statement))
        [rows] = yield step
        return [cast(int, rows[0][0])] * len(items)

    return plan
