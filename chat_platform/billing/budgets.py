"""What an account may spend in a period, and what is left. The ledger maintains the counters."""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.billing.period_sums import brought_to_period, current
from chat_platform.billing.platform_budget import cap_reached
from chat_platform.billing.reservations import Counters, first_counters
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import BudgetSpent, PlatformBudgetSpent
from chat_platform.models import Budget
from chat_platform.values.clock import now_ms, to_rfc3339
from chat_platform.values.ids import AccountId
from chat_platform.values.periods import end_of


@dataclass(frozen=True)
class BudgetView:
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    remaining_nano_usd: int
    period: str
    period_start_ms: int
    resets_at_ms: int
    earlier_nano_usd: int = 0
    """The part spent by an earlier, deleted account of the same person."""


async def budget_of(ctx: AppContext, account_id: AccountId) -> BudgetView:
    """Return the account's current budget, created or renewed as needed."""
    query = select(Budget).where(col(Budget.account_id) == account_id)
    async with reading(ctx.engine) as session:
        row = (await session.exec(query)).first()
        counters = _counters(row) if row else _first(ctx, account_id)
        return _view(await current(session, counters, now_ms()))


async def ensure_affordable(ctx: AppContext, account_id: AccountId) -> None:
    """Raise BudgetSpent, with a message for the person, when nothing is left in this period.

    PlatformBudgetSpent when the platform's own limit is reached.
    """
    budget = await budget_of(ctx, account_id)
    if budget.remaining_nano_usd <= 0:
        raise budget_spent(resets_at_ms=budget.resets_at_ms)
    if reached := await cap_reached(ctx):
        raise reached


async def platform_is_short(ctx: AppContext, account_id: AccountId) -> PlatformBudgetSpent | None:
    """Return the error if the platform's limit, not the person's own, caused a call's refusal.

    The limit that leaves less counts. It need not be spent completely: a call may need more
    than is left.
    """
    own = await budget_of(ctx, account_id)
    return await cap_reached(ctx, below_nano_usd=max(1, own.remaining_nano_usd))


def budget_spent(*, resets_at_ms: int) -> BudgetSpent:
    return BudgetSpent(
        "Your budget is spent. It renews {resets_at_ms}.",
        values={"resets_at_ms": resets_at_ms},
        retry_after_seconds=max(1, (resets_at_ms - now_ms()) // 1000),
        extra={"resets_at": to_rfc3339(resets_at_ms)},
    )


async def set_limit(
    ctx: AppContext,
    account_id: AccountId,
    *,
    limit_nano_usd: int | None = None,
    period: str | None = None,
) -> BudgetView:
    """Change limit or period at once, as `change_limit` does."""
    async with transaction(ctx.engine) as session:
        return await change_limit(
            session, ctx, account_id, limit_nano_usd=limit_nano_usd, period=period
        )


async def change_limit(
    session: AsyncSession,
    ctx: AppContext,
    account_id: AccountId,
    *,
    limit_nano_usd: int | None,
    period: str | None,
) -> BudgetView:
    """Change limit or period (None: unchanged) within the caller's transaction.

    The current period keeps its start and its spending. Raises ValueError for an unknown period.
    """
    query = select(Budget).where(col(Budget.account_id) == account_id).with_for_update()
    row = (await session.exec(query)).first()
    if row is None:
        row = Budget(**_first(ctx, account_id)._asdict())
    row.sqlmodel_update((await brought_to_period(session, _counters(row), now_ms()))._asdict())
    if limit_nano_usd is not None:
        row.limit_nano_usd = limit_nano_usd
    if period is not None:
        row.period = period
        row.period_end_ms = end_of(period, row.period_start_ms)
    session.add(row)
    return _view(await current(session, _counters(row), now_ms()))


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
        earlier_nano_usd=counters.earlier_nano_usd,
    )
