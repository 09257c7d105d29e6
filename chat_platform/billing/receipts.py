"""What turns have used, down to their last model call, for every door. Only reads the ledger.

Another account's turns must be kept out: by the caller, or by asking with `totals_of`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.billing.ledger_rows import LOOK_BACK_MS
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, TurnId


@dataclass(frozen=True)
class TurnUsage:
    """What a turn's calls have used so far, to the nano-dollar."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_calls: int = 0
    cost_nano_usd: int = 0
    pending_calls: int = 0
    """Calls whose cost is not final: still open, or not reported by the gateway yet."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class TurnTotal:
    """A turn, and what all its calls used together."""

    turn: Turn
    usage: TurnUsage


@dataclass(frozen=True)
class Receipt:
    """A turn's calls, oldest first, and what they used: they add up to it exactly."""

    usage: TurnUsage
    calls: Sequence[ModelCall]


async def receipt_of(ctx: AppContext, turn_id: TurnId) -> Receipt:
    # One query: between two, a call may be settled, and the calls would not add up to the usage.
    query = (
        select(ModelCall, _is_unsure(ctx))
        .where(col(ModelCall.turn_id) == turn_id)
        .order_by(col(ModelCall.started_at_ms), col(ModelCall.id))
    )
    async with reading(ctx.engine) as session:
        rows = (await session.exec(query)).all()
    calls = [call for call, _ in rows]
    usage = TurnUsage(
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        completion_tokens=sum(call.completion_tokens for call in calls),
        model_calls=len(calls),
        cost_nano_usd=sum(call.cost_nano_usd for call in calls),
        pending_calls=sum(is_unsure for _, is_unsure in rows),
    )
    return Receipt(usage, calls)


async def usage_of(ctx: AppContext, turn_id: TurnId) -> TurnUsage:
    """Return what the turn's receipt adds up to."""
    async with reading(ctx.engine) as session:
        return (await _usages(ctx, session, [turn_id])).get(turn_id, TurnUsage())


async def totals_of(
    ctx: AppContext, account_id: AccountId, turn_ids: Collection[str]
) -> dict[str, TurnTotal]:
    """Return what the receipts of these turns add up to, except for other accounts' turns."""
    turns = select(Turn).where(col(Turn.account_id) == account_id, col(Turn.id).in_(turn_ids))
    async with reading(ctx.engine) as session:
        found = {turn.id: turn for turn in await session.exec(turns)}
        usages = await _usages(ctx, session, list(found))
    return {id_: TurnTotal(turn, usages.get(id_, TurnUsage())) for id_, turn in found.items()}


async def _usages(
    ctx: AppContext, session: AsyncSession, turn_ids: Collection[str]
) -> dict[str, TurnUsage]:
    sums = (
        select(
            col(ModelCall.turn_id),
            func.sum(ModelCall.prompt_tokens),
            func.sum(ModelCall.completion_tokens),
            func.count(),
        )
        # `select` knows the types of four columns at most.
        .add_columns(
            func.sum(ModelCall.cost_nano_usd),
            func.count(case((_is_unsure(ctx), 1))),
        )
        .where(col(ModelCall.turn_id).in_(turn_ids))
        .group_by(col(ModelCall.turn_id))
    )
    rows = (await session.execute(sums)).all()
    # Postgres sums integers as decimals.
    return {str(turn_id): TurnUsage(*map(int, row)) for turn_id, *row in rows}


def _is_unsure(ctx: AppContext) -> ColumnElement[bool]:
    is_pending = col(ModelCall.cost_source) == "pending"
    if not ctx.settings.litellm_has_database:
        return is_pending
    is_to_be_told = and_(
        col(ModelCall.cost_source) == "estimated",
        col(ModelCall.started_at_ms) > now_ms() - LOOK_BACK_MS,
    )
    return or_(is_pending, is_to_be_told)
