"""What all accounts together may spend: it cannot be exceeded, and counters match the ledger."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import select

from chat_platform.billing import budgets, ledger
from chat_platform.billing.budgets import ensure_affordable, platform_is_short
from chat_platform.billing.ledger_rows import (
    Correction,
    Entry,
    Expiry,
    Intent,
    Opened,
    Refused,
)
from chat_platform.billing.ledger_writes import booking
from chat_platform.billing.platform_budget import platform_budget, recount
from chat_platform.billing.platform_caps import DAY_MS, caps_of, day_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.database.writer import GroupWriter
from chat_platform.errors import PlatformBudgetSpent
from chat_platform.models import ModelCall
from chat_platform.models.spending import PlatformSpending
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import CallId
from chat_platform.wiring import open_context
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
    waiting_call,
)
from tests.registering import with_settings
from tests.seeds import seeds

Amounts = dict[str, tuple[int, int]]


def under_caps(ctx: AppContext, *, total: str = "", day: str = "") -> AppContext:
    return with_settings(ctx, platform_budget=total, platform_daily_budget=day)


async def replying(ctx: AppContext, name: str) -> Payer:
    payer = await new_payer(ctx, name)
    await start_turn(ctx, payer)
    return payer


async def spend(ctx: AppContext, payer: Payer, cost_nano_usd: int, **changes: Any) -> None:
    entry = intent(ctx, payer, worst_case_nano_usd=cost_nano_usd, **changes)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, cost_nano_usd))


async def counted(ctx: AppContext) -> Amounts:
    """What the counters say is spent and held, by span, without zeros."""
    async with reading(ctx.engine) as session:
        rows = list(await session.exec(select(PlatformSpending)))
    amounts = {row.span: (row.spent_nano_usd, row.reserved_nano_usd) for row in rows}
    return {span: pair for span, pair in amounts.items() if pair != (0, 0)}


async def in_ledger(ctx: AppContext) -> Amounts:
    """The same, added up from the calls themselves."""
    async with reading(ctx.engine) as session:
        calls = list(await session.exec(select(ModelCall)))
    spent, held = Counter[str](), Counter[str]()
    for call in calls:
        for span in ("all", day_of(call.started_at_ms)):
            spent[span] += call.cost_nano_usd
            held[span] += call.reserved_nano_usd if call.state == "dispatched" else 0
    return {
        span: (spent[span], held[span]) for span in spent if (spent[span], held[span]) != (0, 0)
    }


async def test_nobody_spends_beyond_the_platforms_cap(ctx: AppContext):
    ctx = under_caps(ctx, total="0.03")
    alice, bob = await replying(ctx, "alice"), await replying(ctx, "bob")
    await spend(ctx, alice, 2 * CENT)
    await spend(ctx, bob, CENT)

    outcomes = [await refused(ctx, intent(ctx, payer)) for payer in (alice, bob)]

    assert outcomes == [Refused("platform_spent")] * 2


async def test_a_days_cap_holds_until_the_day_is_over(ctx: AppContext):
    ctx = under_caps(ctx, day="0.03")
    alice, bob = await replying(ctx, "alice"), await replying(ctx, "bob")
    midnight = (now_ms() // DAY_MS + 1) * DAY_MS
    await spend(ctx, alice, 3 * CENT, now_ms=midnight - 2)

    late = await refused(ctx, intent(ctx, bob, now_ms=midnight - 1))
    early = await opened(ctx, intent(ctx, bob, now_ms=midnight))

    assert late == Refused("platform_day_spent", resets_at_ms=midnight)
    assert early.held_nano_usd == CENT


async def test_a_call_that_is_open_at_midnight_is_paid_by_the_day_in_which_it_began(
    ctx: AppContext,
):
    ctx = under_caps(ctx, day="1.00")
    alice = await replying(ctx, "alice")
    midnight = (now_ms() // DAY_MS + 1) * DAY_MS
    evening, morning = (intent(ctx, alice, now_ms=ms) for ms in (midnight - 1, midnight))
    await opened(ctx, evening)
    await opened(ctx, morning)

    await ledger.settle_call(ctx, settlement(evening, 500))

    assert await counted(ctx) == {
        "all": (500, CENT),
        day_of(midnight - 1): (500, 0),
        day_of(midnight): (0, CENT),
    }


async def test_short_of_a_worst_case_everybodys_calls_run_one_at_a_time(ctx: AppContext):
    ctx = under_caps(ctx, total="0.015")
    alice, bob = await replying(ctx, "alice"), await replying(ctx, "bob")
    first = intent(ctx, alice)
    await opened(ctx, first)
    waiting = await waiting_call(ctx, intent(ctx, bob))
    assert not waiting.done()

    await ledger.settle_call(ctx, settlement(first, CENT))

    outcome = await waiting
    assert isinstance(outcome, Opened)
    assert outcome.held_nano_usd == CENT // 2


async def test_a_refused_call_holds_nothing_of_anybody(ctx: AppContext):
    ctx = under_caps(ctx, day="0")
    alice = await replying(ctx, "alice")

    await refused(ctx, intent(ctx, alice))

    assert await counted(ctx) == {}
    assert await in_ledger(ctx) == {}


async def test_a_cap_on_a_running_installation_counts_what_was_spent_before(ctx: AppContext):
    alice = await replying(ctx, "alice")
    await spend(ctx, alice, CENT, now_ms=now_ms() - 3 * DAY_MS)
    await spend(ctx, alice, CENT)
    await opened(ctx, intent(ctx, alice))
    ctx = under_caps(ctx, total="0.03", day="0.02")

    await recount(ctx)

    assert await counted(ctx) == await in_ledger(ctx)
    budget = await platform_budget(ctx)
    assert budget.total
    assert budget.day
    assert (budget.total.spent_nano_usd, budget.total.reserved_nano_usd) == (2 * CENT, CENT)
    assert (budget.day.spent_nano_usd, budget.day.reserved_nano_usd) == (CENT, CENT)


async def test_a_server_counts_when_it_starts(ctx: AppContext):
    alice = await replying(ctx, "alice")
    await spend(ctx, alice, CENT)
    peers = dict.fromkeys(("letta_base_url", "litellm_base_url"), "http://127.0.0.1:9")
    settings = ctx.settings.model_copy(update={"platform_budget": "0.01", **peers})

    async with open_context(settings) as started:
        with pytest.raises(PlatformBudgetSpent):
            await ensure_affordable(started, alice.account_id)


async def test_a_recount_mends_counters_that_are_wrong(ctx: AppContext):
    ctx = under_caps(ctx, total="1.00")
    alice = await replying(ctx, "alice")
    await spend(ctx, alice, CENT)
    async with transaction(ctx.engine) as session:
        session.add(PlatformSpending(span="2020-01-01", spent_nano_usd=5, reserved_nano_usd=-5))
        await session.flush()
        await session.execute(text("update platform_spending set reserved_nano_usd = 7"))

    await recount(ctx)

    assert await counted(ctx) == await in_ledger(ctx)


async def test_without_a_cap_nothing_is_counted(ctx: AppContext):
    alice = await replying(ctx, "alice")

    await spend(ctx, alice, CENT)
    await recount(ctx)

    assert await counted(ctx) == {}


async def test_a_new_message_is_refused_in_words_of_their_own(ctx: AppContext):
    alice = await replying(ctx, "alice")
    for caps in ({"total": "0.01"}, {"day": "0.01"}, {"total": "0.01", "day": "0.01"}):
        await ensure_affordable(under_caps(ctx, **caps), alice.account_id)
    await spend(under_caps(ctx, total="1.00"), alice, CENT)

    with pytest.raises(PlatformBudgetSpent, match="Contact your administrator") as total:
        await ensure_affordable(under_caps(ctx, total="0.01", day="1.00"), alice.account_id)
    with pytest.raises(PlatformBudgetSpent, match="renews at 00:00 UTC") as day:
        await ensure_affordable(under_caps(ctx, total="1.00", day="0.01"), alice.account_id)

    assert (total.value.status, total.value.code) == (402, "platform_budget_spent")
    assert total.value.retry_after_seconds is None
    assert (day.value.status, day.value.code) == (402, "platform_daily_budget_spent")
    assert 0 < (day.value.retry_after_seconds or 0) <= 86_400


class Day:
    """A random day on a platform: calls open, settle, break, expire, and are corrected."""

    def __init__(self, ctx: AppContext, payers: list[Payer], seed: int) -> None:
        self._ctx = ctx
        self._payers = payers
        self._dice = random.Random(seed)
        self._now_ms = now_ms()
        self._open: dict[str, Intent] = {}
        self._closed: list[Intent] = []

    def next(self) -> Entry:
        self._now_ms += self._dice.choice((0, 1, 60_000, DAY_MS // 24))
        kind = self._dice.choices(
            ("open", "settle", "cancel", "expire", "correct"), (5, 3, 1, 1, 1)
        )
        if kind == ["open"] or not self._open:
            return self._remembered(
                intent(
                    self._ctx,
                    self._dice.choice(self._payers),
                    worst_case_nano_usd=self._dice.randint(1, CENT),
                    now_ms=self._now_ms,
                )
            )
        entry = self._dice.choice(list(self._open.values()))
        if kind == ["correct"] and self._closed:
            return self._correction(self._dice.choice(self._closed))
        self._closed.append(self._open.pop(entry.call_id))
        if kind == ["expire"]:
            return Expiry(entry.call_id, entry.account_id, lease_until_ms=0, cost_nano_usd=1)
        if kind == ["cancel"]:
            return settlement(entry, 0, state="cancelled", cost_source="estimated")
        cost = self._dice.randint(0, entry.worst_case_nano_usd)
        return settlement(entry, cost, cost_source=self._dice.choice(("header", "pending")))

    def _remembered(self, entry: Intent) -> Intent:
        self._open[entry.call_id] = entry
        return entry

    def _correction(self, entry: Intent) -> Correction:
        cost = self._dice.randint(0, CENT // 10)
        return Correction(entry.call_id, entry.account_id, cost, 1, 1, is_success=True)


def never_over(ctx: AppContext, entry: Entry, outcome: object, amounts: Amounts) -> None:
    """The allowed calls left every counter within its cap."""
    if isinstance(entry, Intent) and isinstance(outcome, Opened):
        caps = caps_of(ctx.settings)
        for span, cap in zip(("all", day_of(entry.now_ms)), caps, strict=True):
            assert cap is None or sum(amounts[span]) <= cap


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.parametrize(
    "caps",
    [{"total": "0.06"}, {"day": "0.03"}, {"total": "0.06", "day": "0.03"}],
    ids=["total", "day", "both"],
)
async def test_whatever_happens_in_whatever_order_the_counters_are_the_ledger(
    ctx: AppContext, caps: dict[str, str], seed: int
):
    ctx = under_caps(ctx, **caps)
    payers = [await replying(ctx, name) for name in ("alice", "bob", "carol")]
    day, outcomes = Day(ctx, payers, seed), Counter[str]()

    for _ in range(120):
        entry = day.next()
        if isinstance(entry, Expiry):
            await ctx.writer.write(lambda c: c.execute(update(ModelCall).values(lease_until_ms=0)))
        outcome = await ctx.writer.commit(booking(ctx.settings), entry)
        amounts = await counted(ctx)
        assert amounts == await in_ledger(ctx)
        never_over(ctx, entry, outcome, amounts)
        outcomes[outcome.reason if isinstance(outcome, Refused) else type(outcome).__name__] += 1

    assert outcomes["Opened"]
    assert sum(outcomes[reason] for reason in outcomes if reason.startswith("platform_"))


async def test_processes_that_share_a_database_share_the_caps(ctx: AppContext):
    ctx = under_caps(ctx, total="0.20", day="0.20")
    payers = [await replying(ctx, f"person-{n}") for n in range(6)]
    others = replace(ctx, writer=GroupWriter(ctx.settings.database))
    try:
        await asyncio.gather(
            *(_calls(each, payers, seed) for seed in range(4) for each in (ctx, others)),
            *(recount(each) for each in (ctx, others)),
        )
    finally:
        await others.writer.close()

    amounts = await counted(ctx)
    assert amounts == await in_ledger(ctx)
    assert 0.9 * 20 * CENT < amounts["all"][0] <= 20 * CENT


async def _calls(ctx: AppContext, payers: list[Payer], seed: int) -> None:
    """Make calls, most of them at full cost, until the platform's cap is reached."""
    dice = random.Random(seed)
    for _ in range(60):
        entry = intent(ctx, dice.choice(payers), worst_case_nano_usd=dice.randint(1, CENT))
        outcome = await ctx.writer.commit(booking(ctx.settings), entry)
        if isinstance(outcome, Opened):
            cost = dice.randint(outcome.held_nano_usd // 2, outcome.held_nano_usd)
            await ctx.writer.commit(booking(ctx.settings), settlement(entry, cost))


async def test_days_that_begin_in_several_processes_at_once_are_one_row_each(ctx: AppContext):
    ctx = under_caps(ctx, day="1.00")
    payers = [await replying(ctx, f"person-{n}") for n in range(4)]
    writers = [GroupWriter(ctx.settings.database) for _ in range(3)]
    days = [now_ms() + n * DAY_MS for n in range(6)]
    entries: dict[int, list[Intent]] = defaultdict(list)
    for n, payer in enumerate(payers):
        entries[n % 3] += [intent(ctx, payer, now_ms=ms) for ms in days[:: 1 - 2 * (n % 2)]]

    async def call(writer: GroupWriter, mine: list[Intent]) -> None:
        for entry in mine:
            assert isinstance(await writer.commit(booking(ctx.settings), entry), Opened)

    try:
        await asyncio.gather(*(call(writers[n], mine) for n, mine in entries.items()))
    finally:
        for writer in writers:
            await writer.close()

    assert await counted(ctx) == await in_ledger(ctx)
    assert len(await counted(ctx)) == 1 + len(days)


async def test_a_deleted_persons_calls_go_on_to_count(ctx: AppContext):
    ctx = under_caps(ctx, total="1.00")
    alice = await replying(ctx, "alice")
    entry = intent(ctx, alice)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, CENT, cost_source="pending"))
    async with transaction(ctx.engine) as session:
        await session.execute(text("update model_calls set account_id = 'deleted-1'"))

    correction = Correction(entry.call_id, alice.account_id, 3, 1, 1, is_success=True)
    await ctx.writer.commit(booking(ctx.settings), correction)

    assert (await call_row(ctx, CallId(entry.call_id))).cost_nano_usd == 3
    assert await counted(ctx) == await in_ledger(ctx)


async def test_a_platforms_rest_that_is_too_small_for_a_call_is_not_told_as_the_persons(
    ctx: AppContext,
):
    ctx = under_caps(ctx, total="0.02")
    alice = await replying(ctx, "alice")
    entry = intent(ctx, alice, worst_case_nano_usd=5 * CENT, least_nano_usd=3 * CENT)

    outcome = await refused(ctx, entry)

    assert outcome.reason == "platform_spent"
    assert await platform_is_short(ctx, alice.account_id)
    await budgets.set_limit(ctx, alice.account_id, limit_nano_usd=CENT)
    assert (await refused(ctx, entry)).reason == "budget_spent"
    assert await platform_is_short(ctx, alice.account_id) is None
