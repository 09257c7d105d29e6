import asyncio

import pytest
from sqlmodel import select, text

from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger_rows import Opened, Refused
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import BudgetSpent
from chat_platform.ids import AgentId, CallId
from chat_platform.models import Account, Budget, ModelCall, Turn
from chat_platform.open_calls import OpenCall
from tests.ledger_entries import (
    CENT,
    Payer,
    call_row,
    intent,
    new_payer,
    opened,
    refused,
    settlement,
    start_turn,
)


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "alice")


async def _set(ctx: AppContext, payer: Payer, **columns: object) -> None:
    async with transaction(ctx.engine) as session:
        account = await session.get_one(Account, payer.account_id)
        account.sqlmodel_update(columns)
        session.add(account)


async def test_an_intent_is_in_the_ledger_before_the_call_is_sent(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer)

    await opened(ctx, entry)

    row = await call_row(ctx, entry.call_id)
    assert row.state == "dispatched"
    assert row.owner == ctx.process_id
    assert row.reserved_nano_usd == CENT
    assert row.lease_until_ms > now_ms()


async def test_a_settled_call_gives_its_hold_back_and_adds_its_cost(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer)
    await opened(ctx, entry)

    await ledger.settle_call(ctx, settlement(entry, 54_800))

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    assert (row.state, row.cost_nano_usd, row.prompt_tokens) == ("settled", 54_800, 12)
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (54_800, 0)


async def test_a_call_settles_once(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer)
    await opened(ctx, entry)

    outcomes = await asyncio.gather(
        *(ledger.settle_call(ctx, settlement(entry, 1000)) for _ in range(3))
    )

    budget = await budgets.budget_of(ctx, payer.account_id)
    assert sorted(outcomes, key=bool) == [False, False, True]
    assert budget.spent_nano_usd == 1000


async def test_a_settlement_that_could_not_be_written_is_written_later(
    ctx: AppContext, payer: Payer
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await _execute(ctx, "alter table model_calls rename to away")
    with pytest.raises(Exception, match="model_calls"):
        await ledger.settle_call(ctx, settlement(entry, 54_800))

    await _execute(ctx, "alter table away rename to model_calls")

    await asyncio.sleep(ledger.SETTLE_AGAIN_SECONDS + 0.5)
    budget = await budgets.budget_of(ctx, payer.account_id)
    assert (await call_row(ctx, entry.call_id)).state == "settled"
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (54_800, 0)


async def _execute(ctx: AppContext, statement: str) -> None:
    async with transaction(ctx.engine) as session:
        await session.execute(text(statement))


async def test_a_call_belongs_to_the_running_turn_and_else_to_the_background(
    ctx: AppContext, payer: Payer
):
    outside = intent(ctx, payer)
    await opened(ctx, outside)
    turn_id = await start_turn(ctx, payer)
    inside = intent(ctx, payer, kind="embedding")

    outcome = await opened(ctx, inside)

    assert outcome.turn_id == turn_id
    assert (await call_row(ctx, inside.call_id)).kind == "embedding"
    assert (await call_row(ctx, outside.call_id)).kind == "background"


async def test_a_finished_turn_gets_no_more_calls(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer, status="finished")

    assert (await opened(ctx, intent(ctx, payer))).turn_id is None


async def test_a_turn_that_is_being_cancelled_makes_no_more_calls(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer, cancel_requested_at_ms=now_ms())

    assert (await refused(ctx, intent(ctx, payer))).reason == "turn_cancelled"


async def test_turn_usage_is_the_sum_of_its_calls(ctx: AppContext, payer: Payer):
    turn_id = await start_turn(ctx, payer)
    entries = [intent(ctx, payer) for _ in range(3)]
    for entry in entries:
        await opened(ctx, entry)
        await ledger.settle_call(ctx, settlement(entry, 7))

    usage = await ledger.turn_usage(ctx, turn_id)

    calls = await ledger.calls_of_turn(ctx, turn_id)
    assert [call.id for call in calls] == [entry.call_id for entry in entries]
    assert (usage.model_calls, usage.cost_nano_usd, usage.total_tokens) == (3, 21, 51)


async def test_a_turn_is_closed_when_its_last_call_is(ctx: AppContext, payer: Payer):
    turn_id = await start_turn(ctx, payer)
    entry = intent(ctx, payer)
    await opened(ctx, entry)

    assert not await ledger.wait_until_closed(ctx, turn_id, 0.01)
    await ledger.settle_call(ctx, settlement(entry, 7))
    assert await ledger.wait_until_closed(ctx, turn_id, 0.01)


async def test_an_agent_that_is_not_the_accounts_own_is_refused(ctx: AppContext, payer: Payer):
    outcome = await refused(ctx, intent(ctx, payer, agent_id=AgentId("agent-of-somebody")))

    assert outcome.reason == "agent_not_found"


async def test_a_disabled_account_makes_no_calls(ctx: AppContext, payer: Payer):
    await _set(ctx, payer, disabled_at_ms=now_ms())

    assert (await refused(ctx, intent(ctx, payer))).reason == "account_disabled"


async def test_a_replaced_key_is_not_used_any_more(ctx: AppContext, payer: Payer):
    await _set(ctx, payer, billing_key_version=2)

    assert (await refused(ctx, intent(ctx, payer, key_version=1))).reason == "key_replaced"


async def test_what_was_refused_leaves_no_trace(ctx: AppContext, payer: Payer):
    await refused(ctx, intent(ctx, payer, key_version=9))

    async with reading(ctx.engine) as session:
        assert list(await session.exec(select(ModelCall))) == []


async def test_the_last_call_may_hold_less_than_its_worst_case(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer)
    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=CENT // 2)

    assert (await opened(ctx, intent(ctx, payer))).held_nano_usd == CENT // 2


async def test_short_of_a_worst_case_calls_run_one_at_a_time(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer)
    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=CENT + CENT // 2)
    first, second = intent(ctx, payer), intent(ctx, payer)
    await opened(ctx, first)
    waiting = asyncio.create_task(ledger.open_call(ctx, second))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    await ledger.settle_call(ctx, settlement(first, 1000))

    outcome = await waiting
    assert isinstance(outcome, Opened)
    assert outcome.held_nano_usd == CENT


async def test_concurrent_calls_cannot_overshoot(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer)
    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=3 * CENT)

    async def call() -> Opened | Refused:
        entry = intent(ctx, payer)
        outcome = await ledger.open_call(ctx, entry)
        if isinstance(outcome, Opened):
            await ledger.settle_call(ctx, settlement(entry, CENT))
        return outcome

    outcomes = await asyncio.gather(*(call() for _ in range(12)))

    budget = await budgets.budget_of(ctx, payer.account_id)
    assert sum(isinstance(outcome, Opened) for outcome in outcomes) == 3
    assert budget.spent_nano_usd == 3 * CENT
    with pytest.raises(BudgetSpent, match=r"spent \$0.03") as raised:
        await budgets.ensure_affordable(ctx, payer.account_id)
    assert raised.value.retry_after_seconds


async def test_the_background_has_a_cap_of_its_own(ctx: AppContext, payer: Payer):
    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=10 * CENT)
    for _ in range(2):
        entry = intent(ctx, payer)
        await opened(ctx, entry)
        await ledger.settle_call(ctx, settlement(entry, CENT))

    outside = await refused(ctx, intent(ctx, payer))
    await start_turn(ctx, payer)

    assert outside.reason == "background_spent"
    assert isinstance(await ledger.open_call(ctx, intent(ctx, payer)), Opened)


async def test_a_new_period_starts_at_nothing_spent(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer)
    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=CENT, period="1h")
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, CENT))
    assert (await refused(ctx, intent(ctx, payer))).reason == "budget_spent"

    later = intent(ctx, payer, now_ms=now_ms() + 3_600_001)

    assert (await opened(ctx, later)).held_nano_usd == CENT


async def test_a_call_open_over_a_renewal_is_paid_by_the_period_in_which_it_began(
    ctx: AppContext, payer: Payer
):
    await start_turn(ctx, payer)
    await budgets.set_limit(ctx, payer.account_id, period="1h")
    early = intent(ctx, payer)
    late = intent(ctx, payer, now_ms=now_ms() + 3_600_001)
    await opened(ctx, early)
    await opened(ctx, late)

    await ledger.settle_call(ctx, settlement(early, 500))

    async with reading(ctx.engine) as session:
        row = (await session.exec(select(Budget))).one()
    assert (row.spent_nano_usd, row.reserved_nano_usd, row.open_calls) == (0, CENT, 1)


async def test_a_lower_limit_holds_at_once(ctx: AppContext, payer: Payer):
    await start_turn(ctx, payer)
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 2 * CENT))

    await budgets.set_limit(ctx, payer.account_id, limit_nano_usd=CENT)

    assert (await refused(ctx, intent(ctx, payer))).reason == "budget_spent"


async def test_amounts_outlive_their_account(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    async with transaction(ctx.engine) as session:
        await session.delete(await session.get_one(Account, payer.account_id))

    await ledger.settle_call(ctx, settlement(entry, 500))

    assert (await call_row(ctx, entry.call_id)).cost_nano_usd == 500


async def test_leases_of_the_calls_in_hand_are_renewed_and_no_others(ctx: AppContext, payer: Payer):
    relayed, left = intent(ctx, payer, now_ms=1), intent(ctx, payer, now_ms=1)
    await opened(ctx, relayed)
    await opened(ctx, left)
    relaying = asyncio.create_task(asyncio.sleep(60))

    with ctx.open_calls.listed(
        OpenCall(relayed.call_id, payer.agent_id, payer.account_id, relaying)
    ):
        await ledger.renew_leases(ctx)

    relaying.cancel()
    assert (await call_row(ctx, relayed.call_id)).lease_until_ms > now_ms()
    assert (await call_row(ctx, left.call_id)).lease_until_ms < now_ms()


async def test_a_cancel_in_another_process_ends_this_ones_calls(ctx: AppContext, payer: Payer):
    turn_id = await start_turn(ctx, payer)
    relaying = asyncio.create_task(asyncio.sleep(60))
    call = OpenCall(CallId("c"), payer.agent_id, payer.account_id, relaying, turn_id)
    with ctx.open_calls.listed(call):
        assert await ledger.abort_cancelled(ctx) == 0
        async with transaction(ctx.engine) as session:
            turn = await session.get_one(Turn, turn_id)
            turn.cancel_requested_at_ms = now_ms()

        assert await ledger.abort_cancelled(ctx) == 1

    await asyncio.wait([relaying])
    assert relaying.cancelled()
