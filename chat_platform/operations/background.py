"""Work that goes on by itself: running turns, open calls, prices and writes that are waited for."""

from dataclasses import dataclass

from sqlalchemy import Executable, case, func
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Account, ModelCall, Turn
from chat_platform.operations.times import Times


@dataclass(frozen=True)
class Background:
    running_turns: int
    open_calls: int
    overdue: int
    """Turns and calls whose process has not renewed its lease: others will end them."""
    pending_prices: int
    """Ended calls whose cost the gateway has not reported yet."""
    oldest_pending_ms: int | None
    """When the oldest of them began: how far the ledger lags behind."""
    deletions: int
    """Accounts whose deletion has begun and not ended."""
    unsettled_calls: int
    """Ended calls that the database could not store yet, in the process that answers."""
    waiting_writes: int
    """Writes that wait for their transaction, in the same process."""


async def background(ctx: AppContext, times: Times) -> Background:
    is_ended = col(ModelCall.state) != "dispatched"
    pending = select(func.count(), func.min(ModelCall.started_at_ms)).where(
        col(ModelCall.cost_source) == "pending", is_ended
    )
    leaving = select(func.count()).where(col(Account.deleting_at_ms).is_not(None))
    async with reading(ctx.engine) as session:
        running, late = (await session.execute(_running_turns(times.now_ms))).one()
        opened, lost = (await session.execute(_open_calls(times.now_ms))).one()
        waiting, oldest = (await session.exec(pending)).one()
        deletions = (await session.exec(leaving)).one()
    return Background(
        running_turns=running,
        open_calls=opened,
        overdue=int(late or 0) + int(lost or 0),
        pending_prices=waiting,
        oldest_pending_ms=oldest,
        deletions=deletions,
        unsettled_calls=ctx.unsettled.total,
        waiting_writes=ctx.writer.waiting,
    )


def _running_turns(now_ms: int) -> Executable:
    is_late = case((col(Turn.lease_until_ms) < now_ms, 1), else_=0)
    return select(func.count(), func.sum(is_late)).where(col(Turn.status) == "running")


def _open_calls(now_ms: int) -> Executable:
    is_late = case((col(ModelCall.lease_until_ms) < now_ms, 1), else_=0)
    return select(func.count(), func.sum(is_late)).where(col(ModelCall.state) == "dispatched")
