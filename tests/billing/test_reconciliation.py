from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import insert

from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger_rows import Intent
from chat_platform.billing.reconciliation import MAX_CALLS, Reconciled, Reconciliation, reconcile
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import UpstreamFailed
from chat_platform.models import ModelCall
from chat_platform.ports import ModelPrice, SpendRecord
from chat_platform.values.ids import AccountId, new_id
from tests.fakes import FakeGateway
from tests.ledger_entries import (
    Payer,
    call_row,
    intent,
    left_to_die,
    new_payer,
    opened,
    settlement,
)
from tests.stalls import TOO_LONG_SECONDS, watched_loop


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "alice")


def _booked(entry: Intent, cost_nano_usd: int, *, is_success: bool = True) -> SpendRecord:
    return SpendRecord(entry.call_id, cost_nano_usd, 100, 7, is_success, response_id="chatcmpl-1")


async def test_a_dead_processs_call_is_unknown_and_holds_nothing(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer, owner="dead")
    await left_to_die(ctx, entry)

    done = await reconcile(ctx)

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    assert done.expired == 1
    assert (row.state, row.cost_source) == ("unknown", "estimated")
    assert budget.reserved_nano_usd == 0


@pytest.mark.parametrize("is_down", [False, True], ids=["priced", "without prices"])
async def test_a_dead_processs_call_costs_its_prompt_by_our_estimate(
    ctx: AppContext, payer: Payer, gateway: FakeGateway, is_down: bool
):
    entry = intent(ctx, payer, owner="dead", prompt_tokens=1000)
    await left_to_die(ctx, entry)
    gateway.is_down = is_down
    gateway.booked = None

    await reconcile(ctx)

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    listed = 1000 * gateway.price_list["demo-chat"].input_nano_usd_per_million // 1_000_000
    assert (row.state, row.cost_source, row.prompt_tokens) == ("unknown", "estimated", 1000)
    assert row.cost_nano_usd == (entry.worst_case_nano_usd // 4 if is_down else listed)
    assert budget.spent_nano_usd == row.cost_nano_usd


async def test_without_spend_logs_nobody_is_asked_about_estimates(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    settings = ctx.settings.model_copy(update={"litellm_has_database": False})
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="estimated"))
    gateway.booked = [_booked(entry, 30_000)]

    done = await reconcile(replace(ctx, settings=settings))

    assert done == Reconciled(0, 0, 0)


async def test_one_odd_figure_of_the_gateway_keeps_no_other_from_being_booked(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    odd, good = intent(ctx, payer), intent(ctx, payer)
    for entry in (odd, good):
        await opened(ctx, entry)
        await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="pending"))
    gateway.booked = [_booked(odd, 2**70), _booked(good, 30_000)]

    await reconcile(ctx)

    assert (await call_row(ctx, good.call_id)).cost_nano_usd == 30_000


async def test_an_estimate_is_not_asked_about_again_at_once(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="estimated"))
    gateway.booked = []
    reconciliation = Reconciliation(ctx)
    await reconciliation.run()
    gateway.booked = [_booked(entry, 30_000)]

    assert await reconciliation.run() == Reconciled(0, 0, 0)


class _HtmlForAlice(FakeGateway):
    """Returns invalid JSON for one account, as a proxy server on the way may."""

    odd: AccountId | None = None

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        if account_id == self.odd:
            raise UpstreamFailed("Billing answered no JSON.", code="billing_failed")
        return await super().spend(account_id, since_ms=since_ms, until_ms=until_ms)


async def test_an_odd_answer_about_one_account_ends_nobody_elses_reconciliation(
    ctx: AppContext, payer: Payer
):
    bob = await new_payer(ctx, "bob")
    entries = [intent(ctx, who) for who in (bob, payer, bob)]
    for entry in entries:
        await opened(ctx, entry)
        await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="pending"))
    odd = _HtmlForAlice(booked=[_booked(entry, 30_000) for entry in entries])
    odd.odd = payer.account_id

    done = await reconcile(replace(ctx, billing=odd))

    assert done.corrected == 2
    assert (await call_row(ctx, entries[1].call_id)).cost_nano_usd == 1000


async def test_a_live_processs_call_is_left_alone(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer, owner="alive")
    await opened(ctx, entry)

    assert await reconcile(ctx) == Reconciled(0, 0, 0)
    assert (await call_row(ctx, entry.call_id)).state == "dispatched"


async def test_what_the_gateway_booked_explains_a_dead_processs_call(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer, owner="dead")
    await left_to_die(ctx, entry)
    gateway.booked = [_booked(entry, 54_800)]

    await reconcile(ctx)

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    assert (row.state, row.cost_source, row.cost_nano_usd) == ("settled", "reconciled", 54_800)
    assert (row.prompt_tokens, row.response_id) == (100, "chatcmpl-1")
    assert budget.spent_nano_usd == 54_800


async def test_an_estimate_gives_way_to_the_gateways_figure(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    broken = settlement(entry, 90_000, state="cancelled", cost_source="estimated")
    await ledger.settle_call(ctx, broken)
    gateway.booked = [_booked(entry, 30_000, is_success=False)]

    await reconcile(ctx)
    again = await reconcile(ctx)

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    assert (row.state, row.cost_source) == ("cancelled", "reconciled")
    assert budget.spent_nano_usd == 30_000
    assert again == Reconciled(0, 0, 0)


async def test_a_figure_we_are_sure_of_is_never_changed(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1000))
    gateway.booked = [_booked(entry, 30_000)]

    await reconcile(ctx)

    assert (await call_row(ctx, entry.call_id)).cost_nano_usd == 1000


async def test_without_spend_logs_a_pending_cost_becomes_our_estimate(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="pending"))
    gateway.booked = None

    done = await reconcile(ctx)

    row = await call_row(ctx, entry.call_id)
    assert done.given_up == 1
    assert (row.cost_source, row.cost_nano_usd) == ("estimated", 1000)


async def test_a_gateway_that_is_down_changes_nothing(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1000, cost_source="pending"))
    gateway.is_down = True

    assert await reconcile(ctx) == Reconciled(0, 0, 0)


async def test_a_slow_process_that_was_taken_for_dead_still_settles(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    gateway.booked = []
    entry = intent(ctx, payer)
    await left_to_die(ctx, entry)
    await reconcile(ctx)

    await ledger.settle_call(ctx, settlement(entry, 500))

    budget = await budgets.budget_of(ctx, payer.account_id)
    assert (await call_row(ctx, entry.call_id)).state == "settled"
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (500, 0)


async def _many_estimates(ctx: AppContext, payer: Payer, *, source: str = "estimated") -> None:
    """Store as many uncertain calls as are read per run."""
    row = ModelCall(
        account_id=payer.account_id,
        agent_id=payer.agent_id,
        kind="chat",
        model="demo-chat",
        state="settled",
        cost_nano_usd=1000,
        cost_source=source,
        owner="tests",
        lease_until_ms=0,
    ).model_dump()
    rows = [row | {"id": new_id()} for _ in range(MAX_CALLS)]
    async with transaction(ctx.engine) as session:
        await session.execute(insert(ModelCall), rows)


@dataclass
class _CountingGateway(FakeGateway):
    asked: int = 0
    priced: int = 0

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        self.asked += 1
        return await super().spend(account_id, since_ms=since_ms, until_ms=until_ms)

    async def prices(self) -> dict[str, ModelPrice]:
        self.priced += 1
        return await super().prices()


@pytest.mark.thorough
@pytest.mark.parametrize("has_logs", [True, False], ids=["with logs", "without logs"])
async def test_ten_thousand_estimates_cost_no_request_each_and_hold_nobody_up(
    ctx: AppContext, payer: Payer, has_logs: bool
):
    await _many_estimates(ctx, payer)
    gateway = _CountingGateway(booked=[])
    settings = ctx.settings.model_copy(update={"litellm_has_database": has_logs})
    ctx = replace(ctx, settings=settings, billing=gateway)

    async with watched_loop() as stalls:
        await reconcile(ctx)

    assert (gateway.asked, gateway.priced) == (1 if has_logs else 0, 0)
    assert stalls.busy_seconds < TOO_LONG_SECONDS


@pytest.mark.thorough
async def test_ten_thousand_costs_that_nobody_will_tell_hold_nobody_up(
    ctx: AppContext, payer: Payer
):
    await _many_estimates(ctx, payer, source="pending")
    gateway = _CountingGateway(booked=None)

    async with watched_loop() as stalls:
        done = await reconcile(replace(ctx, billing=gateway))

    assert (done.given_up, gateway.asked) == (MAX_CALLS, 1)
    assert stalls.busy_seconds < TOO_LONG_SECONDS
