"""Reconciles the ledger with the billing gateway's books, and expires dead processes' calls.

Runs at startup and then regularly, in every process: each change applies only once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog
from sqlmodel import col, select

from chat_platform.billing.ledger_rows import LOOK_BACK_MS, Correction, Entry, Expiry, GivenUp
from chat_platform.billing.ledger_writes import booking
from chat_platform.billing.spend_questions import SpendQuestions, UnsureCall
from chat_platform.context import AppContext
from chat_platform.database.clock import database_now_ms
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError
from chat_platform.models import ModelCall
from chat_platform.ports import ModelPrice, SpendRecord
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, TurnId

RECONCILE_SECONDS = 30
MAX_CALLS = 10_000
"""How many are read per run, newest first."""

_CLOCK_SKEW_MS = 60_000
_WRITTEN_AT_ONCE = 100

log = structlog.get_logger()


@dataclass(frozen=True)
class Reconciled:
    expired: int
    corrected: int
    given_up: int


class Reconciliation:
    """The reconciliation of one process, which runs again and again."""

    def __init__(self, ctx: AppContext) -> None:
        self._ctx = ctx
        self._questions = SpendQuestions()

    async def run(self) -> Reconciled:
        """Expire dead processes' calls, then take over the gateway's figures where ours are
        uncertain: asks at once, and then at growing intervals."""
        expired = await _expire(self._ctx)
        corrected = given_up = 0
        for account_id, calls in self._questions.due(await _unsure_calls(self._ctx)).items():
            self._questions.asked(calls)
            try:
                records = await _booked(self._ctx, account_id, calls)
            except PlatformError as exc:
                log.warning("reconcile.failed", account_id=account_id, error=exc.code)
                continue
            if records is None:
                given_up += await _apply(self._ctx, _give_up(account_id, calls))
            else:
                corrected += await _apply(self._ctx, _corrections(account_id, calls, records))
        done = Reconciled(expired, corrected, given_up)
        if done != Reconciled(0, 0, 0):
            log.info("reconcile.done", expired=expired, corrected=corrected, given_up=given_up)
        return done


async def reconcile(ctx: AppContext) -> Reconciled:
    """Reconcile once, and ask about every uncertain cost."""
    return await Reconciliation(ctx).run()


async def _booked(
    ctx: AppContext, account_id: AccountId, calls: Sequence[UnsureCall]
) -> Sequence[SpendRecord] | None:
    return await ctx.billing.spend(
        account_id,
        since_ms=min(call.started_at_ms for call in calls) - _CLOCK_SKEW_MS,
        until_ms=now_ms() + _CLOCK_SKEW_MS,
    )


async def expire_calls(ctx: AppContext, turn_id: TurnId, *, owner: str) -> int:
    """Close the turn's open calls of a process that is known to be dead, before their leases end.

    A call whose lease was renewed meanwhile stays open; a later settlement still counts.
    """
    query = select(ModelCall).where(
        col(ModelCall.turn_id) == turn_id,
        col(ModelCall.owner) == owner,
        col(ModelCall.state) == "dispatched",
    )
    async with reading(ctx.engine) as session:
        calls = list(await session.exec(query))
    return await _apply(ctx, await _expiries(ctx, calls))


async def _expire(ctx: AppContext) -> int:
    query = select(ModelCall).where(
        col(ModelCall.state) == "dispatched", col(ModelCall.lease_until_ms) < database_now_ms()
    )
    async with reading(ctx.engine) as session:
        calls = list(await session.exec(query.limit(MAX_CALLS)))
    return await _apply(ctx, await _expiries(ctx, calls))


async def _expiries(ctx: AppContext, calls: Sequence[ModelCall]) -> list[Entry]:
    """End these calls at their estimated cost, unless they are renewed meanwhile."""
    if not calls:
        return []
    try:
        prices = await ctx.billing.prices()
    except PlatformError as exc:
        log.warning("reconcile.no_prices", error=exc.code)
        prices = {}
    return [
        Expiry(
            call.id,
            call.account_id,
            call.lease_until_ms,
            cost_nano_usd=_prompt_cost(call, prices.get(call.model)),
        )
        for call in calls
    ]


def _prompt_cost(call: ModelCall, price: ModelPrice | None) -> int:
    if price is None:
        # A text has about a quarter as many tokens as bytes, and no call costs its worst case.
        return call.reserved_nano_usd // 4
    return -(-call.prompt_tokens * price.input_nano_usd_per_million // 1_000_000)


async def _unsure_calls(ctx: AppContext) -> list[UnsureCall]:
    # Without spend logs an estimate is never corrected.
    has_logs = ctx.settings.litellm_has_database
    sources = ("pending", "estimated") if has_logs else ("pending",)
    # Plain columns: ten thousand objects would block the event loop for half a second.
    query = (
        select(
            col(ModelCall.id),
            col(ModelCall.account_id),
            col(ModelCall.started_at_ms),
            col(ModelCall.cost_source),
        )
        .where(
            col(ModelCall.cost_source).in_(sources),
            col(ModelCall.state) != "dispatched",
            col(ModelCall.started_at_ms) > now_ms() - LOOK_BACK_MS,
        )
        .order_by(col(ModelCall.started_at_ms).desc())
        .limit(MAX_CALLS)
    )
    async with reading(ctx.engine) as session:
        rows = (await session.exec(query)).all()
    return [UnsureCall(*row) for row in rows]


def _corrections(
    account_id: AccountId, calls: Sequence[UnsureCall], records: Sequence[SpendRecord]
) -> list[Entry]:
    booked = {record.call_id: record for record in records}
    found = (booked.get(call.id) for call in calls)
    return [
        Correction(
            record.call_id,
            account_id,
            cost_nano_usd=record.cost_nano_usd,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            is_success=record.is_success,
            response_id=record.response_id,
        )
        for record in found
        if record
    ]


def _give_up(account_id: AccountId, calls: Sequence[UnsureCall]) -> list[Entry]:
    pending = (call for call in calls if call.cost_source == "pending")
    return [GivenUp(call.id, account_id) for call in pending]


async def _apply(ctx: AppContext, entries: Iterable[Entry]) -> int:
    """Write the entries in batches, as others wait meanwhile; return how many applied."""
    waiting, applied = iter(entries), 0
    while some := list(islice(waiting, _WRITTEN_AT_ONCE)):
        writes = (ctx.writer.commit(booking(ctx.settings), entry) for entry in some)
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        for error in (outcome for outcome in outcomes if isinstance(outcome, BaseException)):
            # A row that can't be written does not prevent the others from being written.
            log.error("reconcile.not_written", exc_info=error)
        applied += sum(outcome is True for outcome in outcomes)
    return applied
