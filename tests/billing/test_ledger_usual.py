"""The short way of the usual case does what the full plan does, whatever happens around it."""

import random
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select, update

from chat_platform.billing.ledger_rows import (
    Correction,
    Entry,
    Expiry,
    Intent,
    Opened,
    Refused,
    Tokens,
)
from chat_platform.billing.ledger_usual import book_usual
from chat_platform.billing.ledger_writes import book, booking
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.database.group_commit.statements import Planner
from chat_platform.models import Account, Budget, ModelCall, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId
from tests.ledger_entries import CENT, TERMS, Payer, intent, new_payer, opened, settlement
from tests.seeds import seeds
from tests.waiting import eventually_found

STEPS = 40
DAY_MS = 86_400_000
WITHOUT = {"id", "account_id", "agent_id", "turn_id", "lease_until_ms", "gateway_call_id"}
_full = partial(book)


class _Twin:
    """One of two people to whom the same happens, each booked in another way."""

    def __init__(self, ctx: AppContext, payer: Payer, planner: Planner[Entry, Any]) -> None:
        self.ctx, self.payer, self.planner = ctx, payer, planner
        self.calls: list[Intent] = []

    async def write(self, entries: list[Entry]) -> list[Any]:
        """Write the entries together; return how each went, without ids."""
        writes = [self.ctx.writer.commit(self.planner, entry) for entry in entries]
        results = [await write for write in writes]
        turn_ids = await self._turn_ids()
        return [
            (result.held_nano_usd, result.turn_id and turn_ids.index(result.turn_id))
            if isinstance(result, Opened)
            else result
            for result in results
        ]

    def entry(self, kind: str, which: int, **values: Any) -> Entry:
        if kind == "intent" or not self.calls:
            changes = {"agent_id": AgentId("agent-other")} if values.pop("is_foreign") else {}
            values.pop("cost_nano_usd")
            values.pop("state")
            self.calls.append(intent(self.ctx, self.payer, **values, **changes))
            return self.calls[-1]
        call, cost = self.calls[which % len(self.calls)], values["cost_nano_usd"]
        if kind == "expiry":
            return Expiry(call.call_id, call.account_id, 1, cost)
        if kind == "correction":
            return Correction(call.call_id, call.account_id, cost, 3, 4, is_success=True)
        return settlement(call, cost, state=values["state"], tokens=Tokens(1, -2, 3, 10**12))

    async def change(self, table: type[Account | Budget | Turn], **columns: Any) -> None:
        owner = {Account: Account.id, Budget: Budget.account_id, Turn: Turn.account_id}[table]
        async with transaction(self.ctx.engine) as session:
            query = update(table).where(col(owner) == self.payer.account_id)
            await session.exec(query.values(**columns))

    async def start_turn(self, kind: str) -> None:
        await self.end_turn()
        async with transaction(self.ctx.engine) as session:
            fields = {"account_id": self.payer.account_id, "kind": kind, "owner": "me"}
            session.add(Turn(**fields, lease_until_ms=now_ms() + 20_000))

    async def end_turn(self, run_until_ms: int | None = None) -> None:
        await self.change(Turn, status="cancelled", run_until_ms=run_until_ms)

    async def let_leases_run_out(self) -> None:
        query = update(ModelCall).where(col(ModelCall.account_id) == self.payer.account_id)
        async with transaction(self.ctx.engine) as session:
            await session.exec(query.values(lease_until_ms=1))

    async def rows(self) -> list[dict[str, Any]]:
        """The budget and all calls, without what differs between two people."""
        mine = self.payer.account_id
        async with reading(self.ctx.engine) as session:
            budgets = await session.exec(select(Budget).where(col(Budget.account_id) == mine))
            query = select(ModelCall).where(col(ModelCall.account_id) == mine)
            calls = {call.id: call for call in await session.exec(query)}
        ordered = [calls[call.call_id] for call in self.calls if call.call_id in calls]
        return [row.model_dump(exclude=WITHOUT) for row in (*budgets, *ordered)]

    async def _turn_ids(self) -> list[str]:
        query = select(Turn.id).where(col(Turn.account_id) == self.payer.account_id)
        async with reading(self.ctx.engine) as session:
            return list(await session.exec(query.order_by(Turn.id)))


class _Dice:
    """What happens next, the same for both."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.now_ms = now_ms()

    async def befall(self, twins: list[_Twin]) -> list[list[Any]]:
        pick = self._dice.random()
        if pick < 0.7:
            group = [self._entry() for _ in range(self._dice.choice((1, 1, 1, 2, 4)))]
            return [await twin.write([twin.entry(**e) for e in group]) for twin in twins]
        change = self._change()
        for twin in twins:
            await change(twin)
        return [[], []]

    def _entry(self) -> dict[str, Any]:
        dice = self._dice
        self.now_ms += dice.choice((0, 1, 1000))
        return {
            "kind": dice.choice(("intent", "intent", "settle", "settle", "expiry", "correction")),
            "which": dice.randrange(1000),
            "worst_case_nano_usd": dice.choice((0, 1, CENT, 20 * CENT, 10**16)),
            "least_nano_usd": dice.choice((0, 0, CENT)),
            "key_version": dice.choice((1, 1, 1, 1, 2)),
            "is_foreign": dice.random() < 0.03,
            "cost_nano_usd": dice.choice((0, 7, CENT, 5 * CENT, -1, 10**15)),
            "state": dice.choice(("settled", "failed", "cancelled")),
            "now_ms": self.now_ms + dice.choice((0,) * 8 + (31 * DAY_MS, -31 * DAY_MS)),
        }

    def _change(self):
        pick = self._dice.choice
        loose_until_ms = pick((None, self.now_ms + 10**9, 1))
        limit, is_disabled, kind = (
            pick((0, 7, CENT, 10**18)),
            pick((1, 0, 0)),
            pick(("message", "memory")),
        )
        return pick(
            (
                lambda twin: twin.start_turn(kind),
                lambda twin: twin.start_turn(kind),
                lambda twin: twin.end_turn(loose_until_ms),
                lambda twin: twin.change(Turn, cancel_requested_at_ms=self.now_ms),
                lambda twin: twin.change(Account, disabled_at_ms=1 if is_disabled else None),
                lambda twin: twin.let_leases_run_out(),
                lambda twin: twin.change(Budget, limit_nano_usd=limit),
                lambda twin: twin.change(Budget, limit_nano_usd=100 * CENT),
            )
        )


@pytest.mark.parametrize("seed", seeds(8, fast=2))
async def test_twins_booked_in_both_ways_have_the_same_ledger(ctx: AppContext, seed: int):
    dice = _Dice(seed)
    usual = _Twin(ctx, await new_payer(ctx, "usual"), booking(ctx.settings))
    full = _Twin(ctx, await new_payer(ctx, "full"), _full)

    for _ in range(STEPS):
        by_usual, by_full = await dice.befall([usual, full])

        assert by_usual == by_full
        assert await usual.rows() == await full.rows()


async def test_an_affordable_call_and_its_end_need_no_other_plan(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    await opened(ctx, intent(ctx, payer))
    call = intent(ctx, payer, worst_case_nano_usd=7)
    only_usual = partial(book_usual, otherwise=_no_plan)

    assert await ctx.writer.commit(only_usual, call) == Opened(None, 7)
    assert await ctx.writer.commit(only_usual, settlement(call, 5)) is True


async def test_nothing_overtakes_an_entry_of_the_same_account_that_is_not_usual(ctx: AppContext):
    alice, bob = await new_payer(ctx, "alice"), await new_payer(ctx, "bob")
    for payer in (alice, bob):
        await opened(ctx, intent(ctx, payer, worst_case_nano_usd=1))
    unusual = intent(ctx, alice, worst_case_nano_usd=TERMS.limit_nano_usd)
    planned: list[list[Entry]] = []

    def full(entries: list[Entry]):
        planned.append(entries)
        return book(entries)

    after, others = intent(ctx, alice), intent(ctx, bob)
    usual = partial(book_usual, otherwise=full)
    results = [ctx.writer.commit(usual, entry) for entry in (unusual, after, others)]

    assert [type(await result) for result in results] == [Refused, Opened, Opened]
    assert planned == [[unusual, after]]


async def test_what_another_process_commits_before_the_lock_is_granted_counts(ctx: AppContext):
    if ctx.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database before a transaction reads anything")
    payer = await new_payer(ctx, "alice")
    await opened(ctx, intent(ctx, payer, worst_case_nano_usd=1))
    async with transaction(ctx.engine) as theirs:
        query = update(Budget).where(col(Budget.account_id) == payer.account_id)
        await theirs.exec(query.values(spent_nano_usd=TERMS.limit_nano_usd))
        opening = ctx.writer.commit(booking(ctx.settings), intent(ctx, payer))
        await _until_a_lock_is_awaited(ctx)

    assert isinstance(await opening, Refused)


async def _until_a_lock_is_awaited(ctx: AppContext) -> None:
    waiting = text(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )

    async def is_awaited() -> bool:
        async with reading(ctx.engine) as session:
            return bool((await session.execute(waiting)).scalar_one())

    await eventually_found(is_awaited)


def _no_plan(entries: list[Entry]):
    raise AssertionError(f"not usual: {entries}")
