import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select
from structlog.testing import capture_logs

from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger_rows import MAX_TOKENS, Opened, Refused, Tokens
from chat_platform.billing.open_calls import OpenCall
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import BudgetSpent
from chat_platform.models import Account, Budget, ModelCall, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId, CallId
from tests.ledger_entries import (
    CENT,
    Payer,
    call_row,
    intent,
    left_to_die,
    new_payer,
    opened,
    refused,
    settlement,
    start_turn,
    waiting_call,
)
from tests.waiting import eventually


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

    await eventually(lambda: not ctx.unsettled._tasks, seconds=ledger.SETTLE_AGAIN_SECONDS + 10)
    budget = await budgets.budget_of(ctx, payer.account_id)
    assert (await call_row(ctx, entry.call_id)).state == "settled"
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (54_800, 0)


async def test_a_settlement_that_waits_for_its_retry_is_written_at_an_orderly_stop(
    ctx: AppContext, payer: Payer
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await _execute(ctx, "alter table model_calls rename to away")
    ledger.settle_call(ctx, settlement(entry, 54_800))
    with capture_logs() as logs:
        stopping = asyncio.create_task(ledger.flush(ctx))
        await eventually(lambda: len(logs) > 1)
    await _execute(ctx, "alter table away rename to model_calls")

    await stopping

    assert (await call_row(ctx, entry.call_id)).cost_nano_usd == 54_800


async def test_a_stop_does_not_wait_for_ever_for_a_settlement(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await _execute(ctx, "alter table model_calls rename to away")
    ledger.settle_call(ctx, settlement(entry, 54_800))

    await asyncio.wait_for(ledger.flush(ctx, timeout_seconds=0.3), 5)

    await _execute(ctx, "alter table away rename to model_calls")


@pytest.mark.parametrize(
    "poison",
    [
        {"tokens": Tokens(prompt=2**63)},
        {"tokens": Tokens(completion=2**31)},
        {"tokens": Tokens(prompt=-5)},
        {"cost_nano_usd": 10**21},
        {"cost_nano_usd": -1},
        {"response_id": "a\0b"},
        {"error_code": "\ud800"},
    ],
    ids=str,
)
async def test_a_settlement_that_cannot_be_stored_as_it_is_is_booked_all_the_same(
    ctx: AppContext, payer: Payer, poison: dict[str, Any]
):
    entry, neighbour = intent(ctx, payer), intent(ctx, payer)
    await opened(ctx, entry)
    await opened(ctx, neighbour)

    ledger.settle_call(ctx, replace(settlement(entry, 1000), **poison))
    await ledger.settle_call(ctx, settlement(neighbour, 500))
    await ledger.flush(ctx)

    row = await call_row(ctx, entry.call_id)
    budget = await budgets.budget_of(ctx, payer.account_id)
    assert row.state == "settled"
    assert 0 <= row.cost_nano_usd <= CENT
    assert 0 <= row.prompt_tokens + row.completion_tokens <= MAX_TOKENS
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (row.cost_nano_usd + 500, 0)


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
    waiting = await waiting_call(ctx, second)
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
    with pytest.raises(BudgetSpent, match="Your budget is spent") as raised:
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
    relayed, left = intent(ctx, payer), intent(ctx, payer)
    await left_to_die(ctx, relayed)
    await left_to_die(ctx, left)
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
