"""What an account has used between two times, by day, model, kind and turn. Reads only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func
from sqlmodel import col, select

from chat_platform.billing.budgets import BudgetView, budget_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall
from chat_platform.values.ids import AccountId, TurnId

# Every zone's offset is a multiple of a quarter of an hour, so no quarter spans two days.
_QUARTER_MS = 900_000


@dataclass(frozen=True)
class UsageLine:
    """One line of a list: its name, and its part of the totals."""

    name: str
    cost_nano_usd: int
    model_calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class UsageReport:
    """Every list adds up to the totals exactly: all come from one query."""

    start_ms: int
    end_ms: int
    cost_nano_usd: int
    model_calls: int
    turns: int
    prompt_tokens: int
    completion_tokens: int
    pending_calls: int
    """Calls whose cost is still provisional."""
    budget: BudgetView
    by_day: list[UsageLine]
    by_model: list[UsageLine]
    by_kind: list[UsageLine]
    by_turn: list[UsageLine]
    """By turn id; background calls are listed under an empty name."""


@dataclass(frozen=True)
class _Slice:
    quarter: int
    model: str
    kind: str
    turn_id: TurnId | None
    cost_nano_usd: int
    model_calls: int
    prompt_tokens: int
    completion_tokens: int
    pending_calls: int


async def report(
    ctx: AppContext,
    account_id: AccountId,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    zone: ZoneInfo,
) -> UsageReport:
    """Return what the account used from `start_ms` up to, but not including, `end_ms`.

    Without times: the current budget period. Days begin at midnight in `zone`.
    """
    budget = await budget_of(ctx, account_id)
    start_ms = budget.period_start_ms if start_ms is None else start_ms
    end_ms = budget.resets_at_ms if end_ms is None else end_ms
    slices = await _slices(ctx, account_id, start_ms, end_ms)
    return UsageReport(
        start_ms=start_ms,
        end_ms=end_ms,
        cost_nano_usd=sum(s.cost_nano_usd for s in slices),
        model_calls=sum(s.model_calls for s in slices),
        turns=len({s.turn_id for s in slices if s.turn_id}),
        prompt_tokens=sum(s.prompt_tokens for s in slices),
        completion_tokens=sum(s.completion_tokens for s in slices),
        pending_calls=sum(s.pending_calls for s in slices),
        budget=budget,
        by_day=_lines(slices, lambda s: _day(s.quarter, zone)),
        by_model=_lines(slices, lambda s: s.model),
        by_kind=_lines(slices, lambda s: s.kind),
        by_turn=_lines(slices, lambda s: s.turn_id or ""),
    )


async def _slices(
    ctx: AppContext, account_id: AccountId, start_ms: int, end_ms: int
) -> list[_Slice]:
    # Integer remainder, as `/` is not integer division on both databases.
    started = col(ModelCall.started_at_ms)
    quarter = (started - started % _QUARTER_MS).label("quarter")
    is_pending = col(ModelCall.cost_source) == "pending"
    cuts = (quarter, col(ModelCall.model), col(ModelCall.kind), col(ModelCall.turn_id))
    query = (
        select(*cuts)
        .add_columns(
            func.sum(ModelCall.cost_nano_usd),
            func.count(),
            func.sum(ModelCall.prompt_tokens),
            func.sum(ModelCall.completion_tokens),
            func.sum(case((is_pending, 1), else_=0)),
        )
        .where(col(ModelCall.account_id) == account_id, started >= start_ms, started < end_ms)
        .group_by(*cuts)
    )
    async with reading(ctx.engine) as session:
        return [_slice(row) for row in (await session.execute(query)).all()]


def _slice(row: Sequence[Any]) -> _Slice:
    quarter, model, kind, turn_id, *sums = row
    return _Slice(quarter, model, kind, turn_id, *(int(value) for value in sums))


def _lines(slices: Iterable[_Slice], name: Callable[[_Slice], str]) -> list[UsageLine]:
    by_name: dict[str, list[_Slice]] = {}
    for piece in slices:
        by_name.setdefault(name(piece), []).append(piece)
    return [
        UsageLine(
            name=key,
            cost_nano_usd=sum(s.cost_nano_usd for s in pieces),
            model_calls=sum(s.model_calls for s in pieces),
            prompt_tokens=sum(s.prompt_tokens for s in pieces),
            completion_tokens=sum(s.completion_tokens for s in pieces),
        )
        for key, pieces in sorted(by_name.items())
    ]


def _day(ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(ms / 1000, zone).date().isoformat()
