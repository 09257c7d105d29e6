"""Moves a budget to the current period, and recounts what that period has cost.

A wrong clock may have moved the budget too far; once it is right again, the budget moves back.
"""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.billing.reservations import Counters, is_in_period, renewed

_OF_PERIOD = (
    "account_id = :account_id"
    " and started_at_ms >= :period_start_ms and started_at_ms < :period_end_ms"
)
# A changed period or a wrong clock may have assigned the calls to another period.
TAKE_CALLS = (
    "update model_calls set period_start_ms = :period_start_ms"  # noqa: S608
    f" where {_OF_PERIOD} and period_start_ms <> :period_start_ms"
)
"""Assigns all calls that began in a period to it, so that their later changes count there."""
PERIOD_SUMS = (
    "select cast(coalesce(sum(cost_nano_usd), 0) as bigint),"  # noqa: S608
    " cast(coalesce(sum(case when state = 'dispatched' then reserved_nano_usd end), 0) as bigint),"
    " cast(coalesce(sum(case when kind = 'background' then cost_nano_usd end), 0) as bigint),"
    " cast(coalesce(sum(case when kind = 'background' and state = 'dispatched'"
    f" then reserved_nano_usd end), 0) as bigint) from model_calls where {_OF_PERIOD}"
)
"""The ledger's sums for a period: spent, reserved, and the background's part of each."""


def of_period(counters: Counters) -> dict[str, str | int]:
    """Return the parameters of these statements."""
    return {
        "account_id": counters.account_id,
        "period_start_ms": counters.period_start_ms,
        "period_end_ms": counters.period_end_ms,
    }


async def current(session: AsyncSession, counters: Counters, now_ms: int) -> Counters:
    """Return the counters of the period that contains `now_ms`, with the ledger's sums."""
    if is_in_period(counters, now_ms):
        return counters
    moved = renewed(counters, now_ms)
    connection = await session.connection()
    return moved.counted(*(await connection.execute(text(PERIOD_SUMS), of_period(moved))).one())


async def brought_to_period(session: AsyncSession, counters: Counters, now_ms: int) -> Counters:
    """Like `current`, for callers that store the result: they must have locked the budget's row."""
    moved = await current(session, counters, now_ms)
    if moved is not counters:
        connection = await session.connection()
        await connection.execute(text(TAKE_CALLS), of_period(moved))
    return moved
