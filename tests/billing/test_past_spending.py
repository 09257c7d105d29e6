"""Registering again gives no new budget: what a deleted account spent is remembered."""

import contextlib
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import delete as delete_rows
from sqlalchemy import update
from sqlmodel import col, select

from chat_platform.accounts import deletion
from chat_platform.billing import ledger, past_spending, usage
from chat_platform.billing.budgets import budget_of
from chat_platform.billing.ledger_rows import Opened
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Conflict
from chat_platform.models import Account, Agent, Budget
from chat_platform.models.registration import PastSpending
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId
from tests.ledger_entries import CENT, Payer, intent, settlement, start_turn
from tests.people import Person
from tests.registering import registered, with_settings

ADA = "ada@example.com"
UTC = ZoneInfo("UTC")


async def payer_of(ctx: AppContext, account: Account) -> Payer:
    payer = Payer(account.id, AgentId(f"agent-{account.id}"))
    async with transaction(ctx.engine) as session:
        session.add(Agent(account_id=payer.account_id, agent_id=payer.agent_id))
    await start_turn(ctx, payer)
    return payer


async def spend(ctx: AppContext, payer: Payer, cost_nano_usd: int) -> bool:
    """Make a call; False if the ledger refuses it."""
    entry = intent(ctx, payer, terms=ledger.terms(ctx.settings), worst_case_nano_usd=cost_nano_usd)
    if not isinstance(await ledger.open_call(ctx, entry), Opened):
        return False
    await ledger.settle_call(ctx, settlement(entry, cost_nano_usd))
    return True


async def delete(ctx: AppContext, account_id: str) -> bool:
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Account).where(col(Account.id) == account_id).values(deleting_at_ms=now_ms())
        )
    return await deletion.finish_deletion(ctx, AccountId(account_id))


async def remembered(ctx: AppContext) -> list[PastSpending]:
    async with reading(ctx.engine) as session:
        return list((await session.exec(select(PastSpending))).all())


async def test_coming_back_brings_back_what_was_spent(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), 123 * CENT)
    before = await budget_of(ctx, first.id)
    await delete(ctx, first.id)

    again = await registered(ctx, ADA)

    budget = await budget_of(ctx, again.id)
    assert (budget.spent_nano_usd, budget.earlier_nano_usd) == (123 * CENT, 123 * CENT)
    assert budget.resets_at_ms == before.resets_at_ms
    assert await remembered(ctx) == []


async def test_another_spelling_of_the_address_brings_it_back_too(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)

    again = await registered(ctx, "ada+new@example.com")

    assert (await budget_of(ctx, again.id)).spent_nano_usd == CENT


async def test_it_is_one_amount_however_often_somebody_comes_back(ctx: AppContext):
    account = await registered(ctx, ADA)
    for _ in range(3):
        await spend(ctx, await payer_of(ctx, account), CENT)
        await delete(ctx, account.id)
        account = await registered(ctx, ADA)

    assert (await budget_of(ctx, account.id)).spent_nano_usd == 3 * CENT


async def test_the_totals_add_up_and_name_what_is_earlier(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), 5 * CENT)
    await delete(ctx, first.id)
    again = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, again), 2 * CENT)

    report = await usage.report(ctx, again.id, zone=UTC)

    assert report.cost_nano_usd == 2 * CENT
    for lines in (report.by_day, report.by_model, report.by_kind, report.by_turn):
        assert sum(line.cost_nano_usd for line in lines) == report.cost_nano_usd
    assert report.cost_nano_usd + report.budget.earlier_nano_usd == report.budget.spent_nano_usd


async def test_rest_tells_the_earlier_part(
    client: httpx.AsyncClient, ctx: AppContext, alice: Person
):
    async with transaction(ctx.engine) as session:
        session.add(_budget(alice.id, spent=3 * CENT, earlier=2 * CENT))

    answer = await client.get("/api/v1/user/usage", headers=alice.headers)

    budget = answer.json()["budget"]
    assert (budget["spent_usd"], budget["earlier_usd"]) == ("0.030000000", "0.020000000")


def _budget(account_id: AccountId, *, spent: int, earlier: int, ends_in_ms: int = 60_000) -> Budget:
    return Budget(
        account_id=account_id,
        limit_nano_usd=100 * CENT,
        period="30d",
        period_start_ms=now_ms() - 60_000,
        period_end_ms=now_ms() + ends_in_ms,
        spent_nano_usd=spent,
        earlier_nano_usd=earlier,
    )


async def test_a_period_that_has_ended_is_forgotten(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)
    async with transaction(ctx.engine) as session:
        await session.exec(update(PastSpending).values(period_end_ms=now_ms() - 1))

    again = await registered(ctx, ADA)

    assert (await budget_of(ctx, again.id)).spent_nano_usd == 0


async def test_ended_periods_are_wiped_by_the_routine(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)
    async with transaction(ctx.engine) as session:
        await session.exec(update(PastSpending).values(period_end_ms=now_ms() - 1))

    await deletion.resume_deletions(ctx)

    assert await remembered(ctx) == []


async def test_earlier_spending_ends_with_its_period(ctx: AppContext, alice: Person):
    async with transaction(ctx.engine) as session:
        session.add(_budget(alice.id, spent=90 * CENT, earlier=90 * CENT, ends_in_ms=-1))

    await spend(ctx, await payer_of(ctx, alice.account), CENT)

    budget = await budget_of(ctx, alice.id)
    assert (budget.spent_nano_usd, budget.earlier_nano_usd) == (CENT, 0)


async def test_what_is_remembered_names_nobody(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)

    (row,) = await remembered(ctx)

    assert "ada" not in row.model_dump_json()
    assert first.id not in row.model_dump_json()


async def test_without_the_key_nobody_can_look_an_address_up(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)
    stranger = with_settings(ctx, secret_key=SecretStr("t" * 40))

    again = await registered(stranger, ADA)

    assert (await budget_of(ctx, again.id)).spent_nano_usd == 0


async def test_it_is_found_again_after_the_key_changed(ctx: AppContext):
    first = await registered(ctx, ADA)
    await spend(ctx, await payer_of(ctx, first), CENT)
    await delete(ctx, first.id)
    changed = with_settings(
        ctx, secret_key=SecretStr("t" * 40), secret_key_previous=ctx.settings.secret_key
    )

    again = await registered(changed, ADA)

    assert (await budget_of(ctx, again.id)).spent_nano_usd == CENT


async def test_an_open_call_is_waited_for(ctx: AppContext):
    """Otherwise its cost would belong to nobody, and the budget would be full again."""
    first = await registered(ctx, ADA)
    payer = await payer_of(ctx, first)
    entry = intent(ctx, payer, terms=ledger.terms(ctx.settings))
    await ledger.open_call(ctx, entry)
    async with transaction(ctx.engine) as session:
        account = await session.get(Account, first.id)
        assert account
        assert not await past_spending.remember(session, ctx.settings, account)

    await ledger.settle_call(ctx, settlement(entry, 9 * CENT))
    assert await delete(ctx, first.id)

    (row,) = await remembered(ctx)
    assert row.spent_nano_usd == 9 * CENT


SPELLINGS = ("ada@gmail.com", "a.da@gmail.com", "ada+x@googlemail.com")
LIMIT = 100 * CENT
ACTS = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(SPELLINGS)),
    st.tuples(st.just("spend"), st.integers(1, 60)),
    st.tuples(st.just("delete"), st.none()),
)


@dataclass
class Cheat:
    """Somebody who tries to spend more than one budget by deleting and registering again."""

    ctx: AppContext
    payers: list[Payer] = field(default_factory=list)
    spent: int = 0

    async def act(self, what: str, with_what: Any) -> None:
        if what == "register":
            await self._register(with_what)
        elif self.payers and what == "spend":
            before = self.spent
            if await spend(self.ctx, self.payers[-1], with_what * CENT):
                self.spent += with_what * CENT
                # The last call may cost more than is left, as it runs alone; no other follows it.
                assert before < LIMIT
        elif self.payers and what == "delete":
            assert await delete(self.ctx, self.payers.pop().account_id)

    async def _register(self, address: str) -> None:
        with contextlib.suppress(Conflict):
            self.payers.append(await payer_of(self.ctx, await registered(self.ctx, address)))


@pytest.mark.slow
@settings(max_examples=40)
@given(acts=st.lists(ACTS, min_size=5, max_size=30))
async def test_no_order_of_acts_spends_more_than_one_budget(ctx: AppContext, acts: list):
    cheat = Cheat(with_settings(ctx, user_default_budget="1.00"))

    for what, with_what in acts:
        await cheat.act(what, with_what)

    await forget(ctx, cheat)


async def forget(ctx: AppContext, cheat: Cheat) -> None:
    """The next example uses another person, on the same database."""
    for payer in cheat.payers:
        await delete(ctx, payer.account_id)
    async with transaction(ctx.engine) as session:
        await session.exec(delete_rows(PastSpending))
