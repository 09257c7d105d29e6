"""How many people there are, and how many are active."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Account
from chat_platform.operations.times import Times

NEWEST = 3


@dataclass(frozen=True)
class Newcomer:
    email: str
    created_at_ms: int


@dataclass(frozen=True)
class People:
    """Accounts that are being deleted are no people any more."""

    total: int
    disabled: int
    active_today: int
    active_week: int
    newest: Sequence[Newcomer]


async def people(ctx: AppContext, times: Times) -> People:
    active = col(Account.last_active_at_ms)
    is_there = col(Account.deleting_at_ms).is_(None)
    counts = select(
        func.count(),
        _number_where(col(Account.disabled_at_ms).is_not(None)),
        _number_where(active >= times.day_ms),
        _number_where(active >= times.week_ms),
    ).where(is_there)
    newest = (
        select(Account.email, Account.created_at_ms)
        .where(is_there)
        .order_by(col(Account.id).desc())
        .limit(NEWEST)
    )
    async with reading(ctx.engine) as session:
        total, disabled, today, week = (await session.exec(counts)).one()
        newcomers = [Newcomer(*row) for row in await session.exec(newest)]
    return People(total, int(disabled), int(today), int(week), newcomers)


def _number_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
