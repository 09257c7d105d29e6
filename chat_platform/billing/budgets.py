"""What an account may spend in a period, and what is left. The counters belong to the ledger."""

from dataclasses import dataclass

from sqlmodel import col, select

from chat_platform.billing.reservations import Counters, first_counters, renewed
from chat_platform.clock import now_ms, to_datetime, to_rfc3339
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import BudgetSpent
from chat_platform.ids import AccountId
from chat_platform.models import Budget
from chat_platform.money import to_usd_text
from chat_platform.periods import end_of


@dataclass(frozen=True)
class BudgetView:
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    remaining_nano_usd: int
    period: str
    period_start_ms: int
    resets_at_ms: int


async def budget_of(ctx: AppContext, account_id: AccountId) -> BudgetView:
    """Return the account's budget now: a new one where it never called, a renewed one in time."""
    query = select(Budget).where(col(Budget.account_id) == account_id)
    async with reading(ctx.engine) as session:
        row = (await session.exec(query)).first()
    return _view(renewed(_counters(row) if row else _first(ctx, account_id), now_ms()))


async def ensure_affordable(ctx: AppContext, account_id: AccountId) -> None:
    """Raise BudgetSpent, in words for the person, when nothing is left in this period."""
    budget = await budget_of(ctx, account_id)
    if budget.remaining_nano_usd <= 0:
        raise budget_spent(spent_nano_usd=budget.spent_nano_usd, resets_at_ms=budget.resets_at_ms)


def budget_spent(*, spent_nano_usd: int, resets_at_ms: int) -> BudgetSpent:
    renews = to_datetime(resets_at_ms)
    return BudgetSpent(
        f"You have spent ${to_usd_text(spent_nano_usd)[:-5]}, all of this period's budget."
        f" It renews on {renews:%Y-%m-%d} at {renews:%H:%M} UTC.",
        retry_after_seconds=max(1, (resets_at_ms - now_ms()) // 1000),
        extra={"resets_at": to_rfc3339(resets_at_ms)},
        resets_at_ms=resets_at_ms,
    )


async def set_limit(
    ctx: AppContext,
    account_id: AccountId,
    *,
    limit_nano_usd: int | None = None,
    period: str | None = None,
) -> BudgetView:
    """Change limit or period at once. The running period keeps its start and what was spent.

    Raises ValueError for an unknown period.
    """
    async with transaction(ctx.engine) as session:
        query = select(Budget).where(col(Budget.account_id) == account_id).with_for_update()
        row = (await session.exec(query)).first()
        if row is None:
            row = Budget(**_first(ctx, account_id)._asdict())
        if limit_nano_usd is not None:
            row.limit_nano_usd = limit_nano_usd
        if period is not None:
            row.period = period
            row.period_end_ms = end_of(period, row.period_start_ms)
        session.add(row)
        return _view(renewed(_counters(row), now_ms()))


def _first(ctx: AppContext, account_id: AccountId) -> Counters:
    return first_counters(
        account_id,
        limit_nano_usd=ctx.settings.default_budget_nano_usd,
        period=ctx.settings.user_budget_duration,
        now_ms=now_ms(),
    )


def _counters(row: Budget) -> Counters:
    return Counters(**row.model_dump())


def _view(counters: Counters) -> BudgetView:
    return BudgetView(
        limit_nano_usd=counters.limit_nano_usd,
        spent_nano_usd=counters.spent_nano_usd,
        reserved_nano_usd=counters.reserved_nano_usd,
        remaining_nano_usd=counters.remaining_nano_usd,
        period=counters.period,
        period_start_ms=counters.period_start_ms,
        resets_at_ms=counters.period_end_ms,
    )
