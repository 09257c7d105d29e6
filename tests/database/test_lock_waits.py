"""Waiting for a row that another Postgres transaction has locked fails before long."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from psycopg.errors import LockNotAvailable
from sqlmodel import col, select

from chat_platform.billing import ledger
from chat_platform.billing.budgets import budget_of
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY
from chat_platform.database.engine import transaction
from chat_platform.database.postgres_waiting import ANSWER_SECONDS, LOCK_SECONDS
from chat_platform.models import Account, Budget
from tests.ledger_entries import CENT, Payer, intent, new_payer, opened, settlement, start_turn
from tests.people import Person

pytestmark = pytest.mark.slow
"""Each waits as long as a lock may be waited for."""


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """SQLite has no row locks: a writer locks the database, and others wait 15 s."""
    return postgres_url


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    payer = await new_payer(ctx, "payer")
    await start_turn(ctx, payer)
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, CENT))
    return payer


@asynccontextmanager
async def locked(
    ctx: AppContext, table: type[Account] | type[Budget], key: str
) -> AsyncIterator[None]:
    """Hold the row's lock, like a session that somebody left open."""
    column = Account.id if table is Account else Budget.account_id
    async with transaction(ctx.engine) as session:
        await session.exec(select(table).where(col(column) == key).with_for_update())
        yield


async def test_a_call_whose_budget_is_locked_fails_in_time_and_holds_nothing(
    ctx: AppContext, payer: Payer
):
    began = time.monotonic()
    async with locked(ctx, Budget, payer.account_id):
        with pytest.raises(LockNotAvailable):
            await ledger.open_call(ctx, intent(ctx, payer))
        waited = time.monotonic() - began

    await _settled(ctx)
    budget = await budget_of(ctx, payer.account_id)
    assert LOCK_SECONDS - 0.5 < waited < ANSWER_SECONDS
    assert (budget.reserved_nano_usd, budget.spent_nano_usd) == (0, CENT)
    assert isinstance(LockNotAvailable(), AWAY)
    await opened(ctx, intent(ctx, payer))


async def _settled(ctx: AppContext) -> None:
    """Wait until everything that could not be written has been."""
    async with asyncio.timeout(4 * LOCK_SECONDS):
        await ledger.flush(ctx, timeout_seconds=3 * LOCK_SECONDS)


async def test_nobody_elses_call_fails_with_it(ctx: AppContext, payer: Payer):
    bob = await new_payer(ctx, "bob")
    async with locked(ctx, Budget, payer.account_id):
        hers, his = await asyncio.gather(
            ledger.open_call(ctx, intent(ctx, payer)),
            ledger.open_call(ctx, intent(ctx, bob)),
            return_exceptions=True,
        )

    assert isinstance(hers, LockNotAvailable)
    assert isinstance(his, ledger.Opened)


async def test_a_change_to_a_locked_account_is_told_to_come_again(
    ctx: AppContext, alice: Person, client: httpx.AsyncClient
):
    async with locked(ctx, Account, alice.id):
        answer = await client.patch(
            "/api/v1/user/profile", json={"name": "Alice A."}, headers=alice.headers
        )

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_write_of_the_group_is_told_so_too(ctx: AppContext, payer: Payer):
    change = "update turns set status = 'failed'"

    async with transaction(ctx.engine) as session:
        await (await session.connection()).exec_driver_sql(change)
        with pytest.raises(AWAY):
            await ctx.writer.write(lambda c: c.exec_driver_sql(change) and None)

    await ctx.writer.write(lambda c: c.exec_driver_sql(change) and None)
