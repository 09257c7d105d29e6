"""A clock that is wrong for a while neither takes a budget away nor gives a second one."""

import random

import pytest
from sqlmodel import col, select

from chat_platform.billing import ledger
from chat_platform.billing.budgets import budget_of, set_limit
from chat_platform.billing.ledger_rows import Intent, Opened
from chat_platform.billing.ledger_writes import booking
from chat_platform.billing.reservations import Counters
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Budget, ModelCall
from chat_platform.values.clock import now_ms
from tests.faults.clock import Clock
from tests.ledger_entries import CENT, Payer, intent, new_payer, opened, settlement, start_turn
from tests.seeds import seeds

HOUR_MS = 3_600_000
DAY_SECONDS = 86_400
DAY_MS = DAY_SECONDS * 1000
MONTH_MS = 30 * DAY_SECONDS * 1000


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    payer = await new_payer(ctx, "alice")
    await start_turn(ctx, payer)
    return payer


async def spend(ctx: AppContext, payer: Payer, cost_nano_usd: int) -> None:
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, cost_nano_usd))


async def stored(ctx: AppContext) -> Budget:
    async with reading(ctx.engine) as session:
        return (await session.exec(select(Budget))).one()


@pytest.mark.parametrize("off_days", [31, 400])
async def test_after_one_call_with_a_clock_ahead_the_period_comes_back(
    ctx: AppContext, payer: Payer, off_days: int
):
    clock = Clock()
    with clock.in_charge():
        await spend(ctx, payer, 2 * CENT)
        before = await budget_of(ctx, payer.account_id)
        clock.jump_seconds = off_days * DAY_SECONDS
        await spend(ctx, payer, 5 * CENT)
        clock.jump_seconds = 0.0

        shown = await budget_of(ctx, payer.account_id)
        await spend(ctx, payer, CENT)
        row = await stored(ctx)

    assert shown == before
    assert (row.period_start_ms, row.period_end_ms) == (before.period_start_ms, before.resets_at_ms)
    assert (row.spent_nano_usd, row.reserved_nano_usd, row.open_calls) == (3 * CENT, 0, 0)


async def test_a_call_that_is_open_meanwhile_is_held_against_its_own_period(
    ctx: AppContext, payer: Payer
):
    early, ahead = intent(ctx, payer), intent(ctx, payer, now_ms=now_ms() + 2 * MONTH_MS)
    await opened(ctx, early)
    await opened(ctx, ahead)

    await opened(ctx, intent(ctx, payer))
    held = (await stored(ctx)).reserved_nano_usd
    await ledger.settle_call(ctx, settlement(early, 7))
    await ledger.settle_call(ctx, settlement(ahead, 11))

    row = await stored(ctx)
    assert held == 2 * CENT
    assert (row.spent_nano_usd, row.reserved_nano_usd, row.open_calls) == (7, CENT, 1)


async def test_a_call_from_a_clock_a_little_behind_counts_in_the_first_calls_period(
    ctx: AppContext, payer: Payer
):
    # Noon: neither a day nor a month begins.
    noon_ms = now_ms() // DAY_MS * DAY_MS + DAY_MS // 2
    entries = [intent(ctx, payer, now_ms=noon_ms + late_ms) for late_ms in (0, -1, -5_000, 1)]
    for entry in entries:
        await opened(ctx, entry)
    for entry in entries:
        await ledger.settle_call(ctx, settlement(entry, CENT))

    row = await stored(ctx)
    assert row.period_start_ms == noon_ms
    assert (row.spent_nano_usd, row.reserved_nano_usd, row.open_calls) == (4 * CENT, 0, 0)


async def test_the_earliest_of_the_first_calls_begins_the_period(ctx: AppContext, payer: Payer):
    right_ms = now_ms()
    entries = [intent(ctx, payer, now_ms=right_ms + late_ms) for late_ms in (70_000, 0, 140_000)]
    writes = [ctx.writer.commit(booking(ctx.settings), entry) for entry in entries]
    assert all([isinstance(await write, Opened) for write in writes])

    row = await stored(ctx)
    assert (row.period_start_ms, row.reserved_nano_usd) == (right_ms, 3 * CENT)


@pytest.mark.parametrize("seed", seeds(5))
async def test_first_calls_in_any_order_and_company_count_in_one_period(
    ctx: AppContext, payer: Payer, seed: int
):
    dice = random.Random(seed)
    noon_ms = now_ms() // DAY_MS * DAY_MS + DAY_MS // 2
    entries = [intent(ctx, payer, now_ms=noon_ms + dice.randint(0, 60_000)) for _ in range(12)]

    while waiting := entries[:]:
        together = [waiting.pop() for _ in range(min(len(waiting), dice.choice((1, 2, 5))))]
        entries = waiting
        writes = [ctx.writer.commit(booking(ctx.settings), entry) for entry in together]
        assert all([isinstance(await write, Opened) for write in writes])
        settled = [ledger.settle_call(ctx, settlement(entry, 7)) for entry in together]
        assert all([await write for write in settled])

    row = await stored(ctx)
    assert (row.spent_nano_usd, row.reserved_nano_usd, row.open_calls) == (12 * 7, 0, 0)


async def test_a_limit_that_is_set_meanwhile_moves_no_period(ctx: AppContext, payer: Payer):
    await spend(ctx, payer, 2 * CENT)
    before = await stored(ctx)
    await opened(ctx, intent(ctx, payer, now_ms=now_ms() + 2 * MONTH_MS))

    view = await set_limit(ctx, payer.account_id, limit_nano_usd=50 * CENT, period="60d")

    assert view.period_start_ms == before.period_start_ms
    assert view.resets_at_ms == before.period_start_ms + 60 * DAY_SECONDS * 1000
    assert view.remaining_nano_usd == 48 * CENT


class _Days:
    """Calls of two people under clocks that jump, alone or several in one group."""

    def __init__(self, ctx: AppContext, payers: list[Payer], seed: int) -> None:
        self._ctx = ctx
        self._payers = payers
        self._dice = random.Random(seed)
        self._right_ms = now_ms()
        self.open: list[Intent] = []

    async def act(self) -> None:
        """Write a group of entries in one transaction."""
        entries = [self._entry() for _ in range(self._dice.choice((1, 1, 2, 5)))]
        writes = [self._ctx.writer.commit(booking(self._ctx.settings), e) for e in entries]
        for entry, write in zip(entries, writes, strict=True):
            outcome = await write
            if isinstance(entry, Intent) and isinstance(outcome, Opened):
                self.open.append(entry)

    def _entry(self):
        if self.open and self._dice.random() < 0.45:
            entry = self.open.pop(self._dice.randrange(len(self.open)))
            return settlement(entry, self._dice.randint(0, CENT))
        self._right_ms += self._dice.choice((0, 1, 60_000, HOUR_MS))
        jump_ms = self._dice.choice((0, 0, 1, -1, HOUR_MS, -HOUR_MS, MONTH_MS, -MONTH_MS))
        return intent(self._ctx, self._dice.choice(self._payers), now_ms=self._right_ms + jump_ms)


async def _counted(ctx: AppContext, budget: Budget) -> Counters:
    """Return the ledger's sums for the budget's period."""
    query = select(ModelCall).where(col(ModelCall.account_id) == budget.account_id)
    async with reading(ctx.engine) as session:
        calls = (await session.exec(query)).all()
    ours = [c for c in calls if budget.period_start_ms <= c.started_at_ms < budget.period_end_ms]
    assert all(call.period_start_ms == budget.period_start_ms for call in ours)
    apart = [call for call in ours if call.kind == "background"]
    still = [call for call in calls if call.state == "dispatched"]
    return Counters(**budget.model_dump())._replace(
        spent_nano_usd=sum(call.cost_nano_usd for call in ours),
        reserved_nano_usd=sum(call.reserved_nano_usd for call in ours if call in still),
        open_calls=len(still),
        background_spent_nano_usd=sum(call.cost_nano_usd for call in apart),
        background_reserved_nano_usd=sum(c.reserved_nano_usd for c in apart if c in still),
    )


@pytest.mark.parametrize("period", ["1h", "30d", "1mo"])
@pytest.mark.parametrize("seed", seeds(3))
async def test_whatever_the_clock_does_spent_is_the_ledgers_sum_of_the_period_that_holds(
    ctx: AppContext, payer: Payer, period: str, seed: int
):
    background = await new_payer(ctx, "bob")
    for each in (payer, background):
        await set_limit(ctx, each.account_id, limit_nano_usd=1000 * CENT, period=period)
    days = _Days(ctx, [payer, background], seed)

    for _ in range(40):
        await days.act()

        async with reading(ctx.engine) as session:
            budgets = (await session.exec(select(Budget))).all()
        for budget in budgets:
            assert Counters(**budget.model_dump()) == await _counted(ctx, budget)
