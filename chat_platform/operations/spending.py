"""What everybody together has spent today and this month, and on which models."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func
from sqlmodel import col, select

from chat_platform.billing.usage import UsageLine
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall
from chat_platform.operations.times import Times, first_id


@dataclass(frozen=True)
class Spending:
    """The models add up to the totals exactly: both come from one query."""

    day: UsageLine
    month: UsageLine
    models: Sequence[UsageLine]
    """This month's, the most expensive first."""


async def spending(ctx: AppContext, times: Times) -> Spending:
    started = col(ModelCall.started_at_ms)
    query = (
        select(col(ModelCall.model))
        .add_columns(*_sums(started >= times.month_ms), *_sums(started >= times.day_ms))
        .where(col(ModelCall.id) >= first_id(times.month_ms), started >= times.month_ms)
        .group_by(col(ModelCall.model))
    )
    async with reading(ctx.engine) as session:
        rows = (await session.execute(query)).all()
    models = [UsageLine(row[0], *map(int, row[1:5])) for row in rows]
    days = [UsageLine(row[0], *map(int, row[5:9])) for row in rows]
    ranked = sorted(models, key=lambda line: -line.cost_nano_usd)
    return Spending(_sum_of(days), _sum_of(models), ranked)


def _sums(condition: ColumnElement[bool]) -> list[ColumnElement[int]]:
    """Return what the calls for which this is true add up to, in the order of UsageLine."""
    figures = (
        ModelCall.cost_nano_usd,
        1,
        ModelCall.prompt_tokens,
        ModelCall.completion_tokens,
    )
    return [func.sum(case((condition, figure), else_=0)) for figure in figures]


def _sum_of(lines: Sequence[UsageLine]) -> UsageLine:
    return UsageLine(
        "",
        sum(line.cost_nano_usd for line in lines),
        sum(line.model_calls for line in lines),
        sum(line.prompt_tokens for line in lines),
        sum(line.completion_tokens for line in lines),
    )
