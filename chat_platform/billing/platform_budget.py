"""What is left of the platform's own caps, and the recount that corrects their counters."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.billing.platform_caps import (
    DAY_MS,
    EVER,
    Spending,
    caps_of,
    day_of,
    end_of_day,
)
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import PlatformBudgetSpent
from chat_platform.models import ModelCall
from chat_platform.models.spending import PlatformSpending
from chat_platform.values.clock import now_ms, to_rfc3339


@dataclass(frozen=True)
class CapView:
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    resets_at_ms: int | None = None
    """None if it never does."""

    @property
    def remaining_nano_usd(self) -> int:
        return max(0, self.limit_nano_usd - self.spent_nano_usd)


@dataclass(frozen=True)
class PlatformBudget:
    """None for a cap that is not set."""

    total: CapView | None = None
    day: CapView | None = None


async def platform_budget(ctx: AppContext) -> PlatformBudget:
    """Return what all accounts together may spend, and have spent."""
    caps, now = caps_of(ctx.settings), now_ms()
    if not caps.are_set:
        return PlatformBudget()
    query = select(PlatformSpending).where(col(PlatformSpending.span).in_((EVER, day_of(now))))
    async with reading(ctx.engine) as session:
        rows = {row.span: row for row in await session.exec(query)}
    return PlatformBudget(
        total=_view(caps.total_nano_usd, rows.get(EVER)),
        day=_view(caps.day_nano_usd, rows.get(day_of(now)), resets_at_ms=end_of_day(now)),
    )


async def cap_reached(ctx: AppContext, *, below_nano_usd: int = 1) -> PlatformBudgetSpent | None:
    """Return the error of the cap that has been reached, or None.

    A cap is reached when less than `below_nano_usd` is left of it.
    """
    budget = await platform_budget(ctx)
    if budget.total and budget.total.remaining_nano_usd < below_nano_usd:
        return platform_spent()
    if budget.day and budget.day.remaining_nano_usd < below_nano_usd:
        return platform_spent(resets_at_ms=budget.day.resets_at_ms)
    return None


def platform_spent(*, resets_at_ms: int | None = None) -> PlatformBudgetSpent:
    """Return the error of the daily cap; without a time, that of the total cap."""
    if resets_at_ms is None:
        return PlatformBudgetSpent(
            "This platform has reached its spending limit; your own budget is not "
            "affected. Contact your administrator.",
        )
    return PlatformBudgetSpent(
        "This platform has reached its spending limit for today; your own budget is "
        "not affected. The limit renews at 00:00 UTC; your administrator can raise it.",
        code="platform_daily_budget_spent",
        retry_after_seconds=max(1, (resets_at_ms - now_ms()) // 1000),
        extra={"resets_at": to_rfc3339(resets_at_ms)},
    )


async def recount(ctx: AppContext) -> None:
    """Set the counters to the ledger's sums: what was spent before a cap was set counts.

    Exact while other processes continue: each of their groups locks the first row before it writes.
    """
    if not caps_of(ctx.settings).are_set:
        return
    async with transaction(ctx.engine) as session:
        stored = await _locked(session)
        for counted in _with_all(await _sums(session)):
            row = stored.pop(counted.span, None) or PlatformSpending(span=counted.span)
            row.sqlmodel_update(counted._asdict())
            session.add(row)
        for row in stored.values():
            row.sqlmodel_update(Spending(row.span)._asdict())
            session.add(row)


async def _locked(session: AsyncSession) -> dict[str, PlatformSpending]:
    # In a separate statement: one that waits for a lock does not see rows added meanwhile.
    ever = select(PlatformSpending).where(col(PlatformSpending.span) == EVER)
    await session.exec(ever.with_for_update())
    return {row.span: row for row in await session.exec(select(PlatformSpending))}


async def _sums(session: AsyncSession) -> Sequence[tuple[int, int, int]]:
    started = col(ModelCall.started_at_ms)
    day = (started - started % DAY_MS).label("day")
    is_open = col(ModelCall.state) == "dispatched"
    query = select(
        day,
        func.sum(ModelCall.cost_nano_usd),
        func.sum(case((is_open, col(ModelCall.reserved_nano_usd)), else_=0)),
    ).group_by(day)
    return (await session.exec(query)).all()


def _with_all(sums: Sequence[tuple[int, int, int]]) -> list[Spending]:
    days = [Spending(day_of(day), int(spent), int(reserved)) for day, spent, reserved in sums]
    spent = sum(day.spent_nano_usd for day in days)
    return [Spending(EVER, spent, sum(day.reserved_nano_usd for day in days)), *days]


def _view(
    limit_nano_usd: int | None, row: PlatformSpending | None, *, resets_at_ms: int | None = None
) -> CapView | None:
    if limit_nano_usd is None:
        return None
    return CapView(
        limit_nano_usd,
        row.spent_nano_usd if row else 0,
        row.reserved_nano_usd if row else 0,
        resets_at_ms,
    )
