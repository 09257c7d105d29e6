import pytest

from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger_rows import Intent
from chat_platform.billing.reconciliation import Reconciled, reconcile
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.ports import SpendRecord
from tests.fakes import FakeGateway
from tests.ledger_entries import Payer, call_row, intent, new_payer, opened, settlement


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "alice")


def _booked(entry: Intent, cost_nano_usd: int, *, is_success: bool = True) -> SpendRecord:
    return SpendRecord(entry.call_id, cost_nano_usd, 100, 7, is_success, response_id="chatcmpl-1")


async def test_a_dead_processs_call_is_unknown_and_holds_nothing(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer, now_ms=now_ms() - 60_000, owner="dead")
    await opened(ctx, entry)

    done = await reconcile(ctx)

    budget = await budgets.budget_of(ctx, payer.account_id)
    row = await call_row(ctx, entry.call_id)
    assert done.expired == 1
    assert (row.state, row.cost_source) == ("unknown", "estimated")
    assert budget.reserved_nano_usd == 0


async def test_a_live_processs_call_is_left_alone(ctx: AppContext, payer: Payer):
    entry = intent(ctx, payer, owner="alive")
    await opened(ctx, entry)

    assert await reconcile(ctx) == Reconciled(0, 0, 0)
    assert (await call_row(ctx, entry.call_id)).state == "dispatched"


async def test_what_the_gateway_booked_explains_a_dead_processs_call(
    ctx: AppContext, payer: Payer, gateway: FakeGateway
):
    entry = intent(ctx, payer, now_ms=now_ms() - 60_000, owner="dead")
    await opened(ctx, entry)
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
    entry = intent(ctx, payer, now_ms=now_ms() - 60_000)
    await opened(ctx, entry)
    await reconcile(ctx)

    await ledger.settle_call(ctx, settlement(entry, 500))

    budget = await budgets.budget_of(ctx, payer.account_id)
    assert (await call_row(ctx, entry.call_id)).state == "settled"
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (500, 0)
