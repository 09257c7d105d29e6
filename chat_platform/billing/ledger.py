"""The Ledger: opens and settles model calls, and answers what a turn has used. Never calls a model.

An intent is committed before its call is sent; its settlement is committed after the call ended.
Calls that are left open by a dead process belong to `reconciliation`.
"""

import asyncio
import time
from dataclasses import dataclass

import sqlalchemy
import structlog
from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import col, select

from chat_platform.billing.ledger_rows import (
    LEASE_SECONDS,
    LOOK_BACK_MS,
    BudgetTerms,
    Intent,
    Opened,
    Refused,
    Renewal,
    Settlement,
    Tokens,
)
from chat_platform.billing.ledger_writes import book
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.ids import TurnId
from chat_platform.models import ModelCall, Turn
from chat_platform.settings import Settings

RENEW_SECONDS = 10
SETTLE_AGAIN_SECONDS = 1
CANCEL_POLL_SECONDS = 0.5
ALONE_WAIT_SECONDS = 30
"""How long a call waits for its turn when the budget only allows one at a time."""

_ALONE_POLL_SECONDS = 0.1
_CLOSED_POLL_SECONDS = 0.05

log = structlog.get_logger()


@dataclass(frozen=True)
class TurnUsage:
    """What a turn's calls have used until now, to the nano-dollar."""

    prompt_tokens: int
    completion_tokens: int
    model_calls: int
    cost_nano_usd: int
    pending_calls: int = 0
    """Calls whose cost is not final: still open, or to be told by the gateway."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def terms(settings: Settings) -> BudgetTerms:
    return BudgetTerms(
        limit_nano_usd=settings.default_budget_nano_usd,
        period=settings.user_budget_duration,
        background_percent=settings.user_background_percent,
    )


async def open_call(ctx: AppContext, intent: Intent) -> Opened | Refused:
    """Commit the intent and hold its worst case against the budget, or say why not.

    When less than the worst case is left, the account's calls run one at a time: this waits for
    the others, for at most ALONE_WAIT_SECONDS, and then refuses as `busy`.
    """
    give_up_at = time.monotonic() + ALONE_WAIT_SECONDS
    while True:
        opened = await _commit_intent(ctx, intent)
        is_busy = isinstance(opened, Refused) and opened.reason == "busy"
        if not is_busy or time.monotonic() > give_up_at:
            return opened
        await asyncio.sleep(_ALONE_POLL_SECONDS)


async def _commit_intent(ctx: AppContext, intent: Intent) -> Opened | Refused:
    committing = ctx.writer.commit(book, intent)
    try:
        opened = await asyncio.shield(committing)
    except asyncio.CancelledError:
        committing.add_done_callback(lambda done: _close_unsent(ctx, intent, done))
        raise
    assert not isinstance(opened, bool)
    return opened


def _close_unsent(
    ctx: AppContext, intent: Intent, committing: asyncio.Future[Opened | Refused | bool]
) -> None:
    """Close a call that was cancelled between its intent and its sending."""
    if committing.cancelled() or not isinstance(committing.result(), Opened):
        return
    settle_call(
        ctx,
        Settlement(
            call_id=intent.call_id,
            account_id=intent.account_id,
            state="cancelled",
            tokens=Tokens(),
            cost_nano_usd=0,
            cost_source="estimated",
            total_ms=0,
            error_code="never_sent",
        ),
    )


def settle_call(ctx: AppContext, settlement: Settlement) -> asyncio.Future[Opened | Refused | bool]:
    """Queue the settlement at once, before any later intent; the future ends when it is committed.

    Not a coroutine: a caller that is cancelled right after this has still settled. A database that
    can't take it now is asked again until it can.
    """
    written = ctx.writer.commit(book, settlement)
    written.add_done_callback(lambda done: _settle_again_if_failed(ctx, settlement, done))
    return written


def _settle_again_if_failed(
    ctx: AppContext, settlement: Settlement, written: asyncio.Future[Opened | Refused | bool]
) -> None:
    if written.cancelled() or not (error := written.exception()):
        return
    log.error("ledger.settle_failed", call_id=settlement.call_id, exc_info=error)
    # Meanwhile nobody renews its lease: should this process die first, others explain the row.
    asyncio.get_running_loop().call_later(SETTLE_AGAIN_SECONDS, settle_call, ctx, settlement)


async def calls_of_turn(ctx: AppContext, turn_id: TurnId) -> list[ModelCall]:
    """Return the turn's calls in the order in which they began."""
    query = select(ModelCall).where(col(ModelCall.turn_id) == turn_id)
    async with reading(ctx.engine) as session:
        return list(await session.exec(query.order_by(col(ModelCall.started_at_ms), ModelCall.id)))


async def turn_usage(ctx: AppContext, turn_id: TurnId) -> TurnUsage:
    query = sqlalchemy.select(
        func.coalesce(func.sum(ModelCall.prompt_tokens), 0),
        func.coalesce(func.sum(ModelCall.completion_tokens), 0),
        func.count(),
        func.coalesce(func.sum(ModelCall.cost_nano_usd), 0),
        func.count(case((_is_unsure(ctx), 1))),
    ).where(col(ModelCall.turn_id) == turn_id)
    async with reading(ctx.engine) as session:
        row = (await session.execute(query)).one()
    return TurnUsage(*(int(value) for value in row))


def _is_unsure(ctx: AppContext) -> ColumnElement[bool]:
    is_pending = col(ModelCall.cost_source) == "pending"
    if not ctx.settings.litellm_has_database:
        return is_pending
    is_to_be_told = and_(
        col(ModelCall.cost_source) == "estimated",
        col(ModelCall.started_at_ms) > now_ms() - LOOK_BACK_MS,
    )
    return or_(is_pending, is_to_be_told)


async def has_open_calls(ctx: AppContext, turn_id: TurnId) -> bool:
    query = select(ModelCall.id).where(
        col(ModelCall.turn_id) == turn_id, col(ModelCall.state) == "dispatched"
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query.limit(1))).first() is not None


async def wait_until_closed(ctx: AppContext, turn_id: TurnId, timeout_seconds: float) -> bool:
    """Wait until no call of the turn is open; False when some still are after the time-out."""
    give_up_at = time.monotonic() + timeout_seconds
    while await has_open_calls(ctx, turn_id):
        if time.monotonic() >= give_up_at:
            return False
        await asyncio.sleep(_CLOSED_POLL_SECONDS)
    return True


async def abort_cancelled(ctx: AppContext) -> int:
    """End this process's calls of turns that somebody, perhaps in another process, cancelled."""
    by_turn = {call.turn_id: call.agent_id for call in ctx.open_calls if call.turn_id}
    if not by_turn:
        return 0
    query = select(Turn.id).where(
        col(Turn.id).in_(list(by_turn)), col(Turn.cancel_requested_at_ms).is_not(None)
    )
    async with reading(ctx.engine) as session:
        cancelled = list(await session.exec(query))
    return sum(ctx.open_calls.abort(by_turn[TurnId(turn_id)]) for turn_id in cancelled)


async def renew_leases(ctx: AppContext) -> None:
    """Say that the calls which this process is relaying are alive."""
    open_ids = [call.call_id for call in ctx.open_calls]
    if open_ids:
        until_ms = now_ms() + LEASE_SECONDS * 1000
        await asyncio.shield(ctx.writer.commit(book, Renewal(open_ids, until_ms)))
