"""The Ledger: opens and settles model calls. Never calls a model.

An intent is committed before its call is sent; its settlement is committed after the call ended.
`reconciliation` takes care of calls left open by a dead process.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import asdict, replace

import structlog
from sqlmodel import col, select

from chat_platform.billing.ledger_rows import (
    BudgetTerms,
    Intent,
    Opened,
    Refused,
    Renewal,
    Settlement,
    Tokens,
)
from chat_platform.billing.ledger_writes import booking, find_open
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.database.group_commit.waiting import OUTAGES
from chat_platform.models import ModelCall, Turn
from chat_platform.settings import Settings
from chat_platform.values.ids import CallId, TurnId

RENEW_SECONDS = 10
SETTLE_AGAIN_SECONDS = 1
MAX_PAUSE_SECONDS = 60
"""The longest pause between two attempts to store a settlement."""
FLUSH_SECONDS = 5
"""How long an orderly stop waits for settlements that could not be stored yet."""
CANCEL_POLL_SECONDS = 0.5
ALONE_WAIT_SECONDS = 30
"""How long a call waits for its turn when the budget only allows one at a time."""

_ALONE_POLL_SECONDS = 0.1
_CLOSED_POLL_SECONDS = 0.05

log = structlog.get_logger()


def terms(settings: Settings) -> BudgetTerms:
    return BudgetTerms(
        limit_nano_usd=settings.default_budget_nano_usd,
        period=settings.user_budget_duration,
        background_percent=settings.user_background_percent,
    )


async def open_call(ctx: AppContext, intent: Intent) -> Opened | Refused:
    """Commit the intent and reserve its worst case in the budget, or return why not.

    When less than the worst case is left, calls run one at a time: the account's, or everybody's
    if the platform's cap is the limit. This waits for the others for at most ALONE_WAIT_SECONDS,
    then refuses as `busy`.
    """
    give_up_at = time.monotonic() + ALONE_WAIT_SECONDS
    while True:
        opened = await _commit_intent(ctx, intent)
        is_busy = isinstance(opened, Refused) and opened.reason in ("busy", "platform_busy")
        if not is_busy or time.monotonic() > give_up_at:
            return opened
        await asyncio.sleep(_ALONE_POLL_SECONDS)


async def _commit_intent(ctx: AppContext, intent: Intent) -> Opened | Refused:
    committing = ctx.writer.commit(booking(ctx.settings), intent)
    try:
        opened = await asyncio.shield(committing)
    except asyncio.CancelledError:
        committing.add_done_callback(lambda done: _close_unsent(ctx, intent, done))
        raise
    except Exception:
        own = await _find_own(ctx, intent)
        if own is None:
            # If it was committed after all, it is released once the database is back.
            settle_call(ctx, _never_sent(intent))
            raise
        return own
    assert not isinstance(opened, bool)
    return opened


async def _find_own(ctx: AppContext, intent: Intent) -> Opened | None:
    """Return the open call if the commit succeeded and only its answer was lost."""
    try:
        return await ctx.writer.commit(find_open, intent.call_id)
    except asyncio.CancelledError:
        settle_call(ctx, _never_sent(intent))
        raise
    except Exception:
        return None


def _close_unsent(
    ctx: AppContext, intent: Intent, committing: asyncio.Future[Opened | Refused | bool]
) -> None:
    """Close a call that was cancelled between its intent and its sending."""
    if committing.cancelled():
        return
    if committing.exception() or isinstance(committing.result(), Opened):
        settle_call(ctx, _never_sent(intent))


def _never_sent(intent: Intent) -> Settlement:
    return Settlement(
        call_id=intent.call_id,
        account_id=intent.account_id,
        state="cancelled",
        tokens=Tokens(),
        cost_nano_usd=0,
        cost_source="estimated",
        total_ms=0,
        error_code="never_sent",
    )


def settle_call(ctx: AppContext, settlement: Settlement) -> asyncio.Future[Opened | Refused | bool]:
    """Queue the settlement at once, before any later intent; the future ends when it is committed.

    Not a coroutine: the call is settled even if the caller is cancelled right after this. If the
    database cannot store it, this is retried at growing intervals until it can.
    """
    written = ctx.writer.commit(booking(ctx.settings), settlement)
    written.add_done_callback(lambda done: _settle_again_if_failed(ctx, settlement, done))
    return written


def _settle_again_if_failed(
    ctx: AppContext, settlement: Settlement, written: asyncio.Future[Opened | Refused | bool]
) -> None:
    if not written.cancelled() and (error := written.exception()):
        # Its lease is no longer renewed: if this process dies first, others expire the call.
        ctx.unsettled.keep(_settle_again(ctx, settlement, error))


async def _settle_again(ctx: AppContext, settlement: Settlement, error: BaseException) -> None:
    pause = SETTLE_AGAIN_SECONDS
    try:
        while True:
            log.error("ledger.settle_failed", call_id=settlement.call_id, exc_info=error)
            if not isinstance(error, OUTAGES):
                settlement = _plain(settlement)
            await ctx.unsettled.pause(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            try:
                await ctx.writer.commit(booking(ctx.settings), settlement)
            except Exception as again:
                error = again
            else:
                return
    except asyncio.CancelledError:
        # The last trace of it: an operator can still book the row from this.
        log.error("ledger.never_settled", **asdict(settlement))
        raise


def _plain(settlement: Settlement) -> Settlement:
    """Return it without its texts, which come from outside: these may be what can't be stored."""
    return replace(settlement, error_code="not_bookable", gateway_call_id=None, response_id=None)


async def flush(ctx: AppContext, timeout_seconds: float = FLUSH_SECONDS) -> None:
    """Write what still waits for a retry. Call it before the database is closed."""
    with suppress(Exception):
        # When this is done, everything queued before it has been tried.
        await ctx.writer.commit(find_open, CallId(""))
    await ctx.unsettled.flush(timeout_seconds)


async def has_open_calls(ctx: AppContext, turn_id: TurnId) -> bool:
    query = select(ModelCall.id).where(
        col(ModelCall.turn_id) == turn_id, col(ModelCall.state) == "dispatched"
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query.limit(1))).first() is not None


async def wait_until_closed(ctx: AppContext, turn_id: TurnId, timeout_seconds: float) -> bool:
    """Wait until no call of the turn is open; False if some still are after the timeout."""
    give_up_at = time.monotonic() + timeout_seconds
    while await has_open_calls(ctx, turn_id):
        if time.monotonic() >= give_up_at:
            return False
        await asyncio.sleep(_CLOSED_POLL_SECONDS)
    return True


async def abort_cancelled(ctx: AppContext) -> int:
    """End this process's calls of turns that were cancelled, perhaps in another process."""
    turn_ids = {call.turn_id for call in ctx.open_calls if call.turn_id}
    if not turn_ids:
        return 0
    query = select(col(Turn.id)).where(
        col(Turn.id).in_(turn_ids), col(Turn.cancel_requested_at_ms).is_not(None)
    )
    async with reading(ctx.engine) as session:
        cancelled = list(await session.exec(query))
    return sum(ctx.open_calls.abort(turn_id) for turn_id in cancelled)


async def renew_leases(ctx: AppContext) -> None:
    """Renew the leases of the calls that this process is relaying."""
    open_ids = [call.call_id for call in ctx.open_calls]
    if open_ids:
        await asyncio.shield(ctx.writer.commit(booking(ctx.settings), Renewal(open_ids)))
