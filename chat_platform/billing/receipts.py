"""What each turn cost, down to its last model call. Reads the ledger, never writes it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.errors import NotFound
from chat_platform.ids import AccountId, TurnId
from chat_platform.models import ModelCall, Turn


@dataclass(frozen=True)
class TurnTotal:
    """How a turn ended, and what all its calls cost together."""

    turn_id: TurnId
    status: str
    error_code: str
    error_detail: str
    cost_nano_usd: int
    tokens: int
    model_calls: int


async def totals_of(
    ctx: AppContext, account_id: AccountId, turn_ids: Collection[str]
) -> dict[str, TurnTotal]:
    """Return the totals of those of the turns that are the account's."""
    turns = select(Turn).where(col(Turn.account_id) == account_id, col(Turn.id).in_(turn_ids))
    sums = (
        select(
            ModelCall.turn_id,
            func.sum(ModelCall.cost_nano_usd),
            func.sum(ModelCall.prompt_tokens + ModelCall.completion_tokens),
            func.count(),
        )
        .where(col(ModelCall.account_id) == account_id, col(ModelCall.turn_id).in_(turn_ids))
        .group_by(col(ModelCall.turn_id))
    )
    async with reading(ctx.engine) as session:
        spent = {turn_id: tuple(rest) for turn_id, *rest in await session.exec(sums)}
        found = list(await session.exec(turns))
    return {turn.id: _total(turn, *spent.get(turn.id, (0, 0, 0))) for turn in found}


async def receipt_of(
    ctx: AppContext, account_id: AccountId, turn_id: str
) -> tuple[TurnTotal, list[ModelCall]]:
    """Return the turn's total and every call in it, first call first: the costs add up to it.

    Raises NotFound, also for somebody else's turn.
    """
    total = (await totals_of(ctx, account_id, [turn_id])).get(turn_id)
    if total is None:
        raise NotFound("There is no such turn.")
    calls = (
        select(ModelCall)
        .where(col(ModelCall.account_id) == account_id, col(ModelCall.turn_id) == turn_id)
        .order_by(col(ModelCall.started_at_ms), col(ModelCall.id))
    )
    async with reading(ctx.engine) as session:
        return total, list(await session.exec(calls))


def _total(turn: Turn, cost_nano_usd: int, tokens: int, model_calls: int) -> TurnTotal:
    return TurnTotal(
        turn_id=TurnId(turn.id),
        status=turn.status,
        error_code=turn.error_code or "",
        error_detail=turn.error_detail or "",
        # Postgres sums integers as decimals.
        cost_nano_usd=int(cost_nano_usd),
        tokens=int(tokens),
        model_calls=model_calls,
    )
