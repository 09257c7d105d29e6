"""Runs that outlived their turns because the runtime did not confirm their stop.

The ledger refuses their calls meanwhile. They are stopped as soon as the runtime answers again, and
before the agent's next turn begins.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy import ColumnElement, update
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.away import patiently
from chat_platform.database.clock import database_now_ms
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError, agent_unavailable
from chat_platform.models import Agent, Turn
from chat_platform.turns.agent_run import STOP_SECONDS
from chat_platform.values.ids import AccountId, AgentId, TurnId

LOOSE_SECONDS = 24 * 3600
"""No run lasts longer; after this time it is no longer looked for."""
LOOK_SECONDS = 2.0
MAX_AT_ONCE = 20
START_SECONDS = 10.0
"""How long a new message waits until earlier runs are stopped: a runtime that has just been
restarted takes its time."""

log = structlog.get_logger()


def loose_until_ms() -> ColumnElement[int]:
    return database_now_ms() + LOOSE_SECONDS * 1000


async def stop_loose_runs(ctx: AppContext) -> None:
    """Stop runs whose turns are over.

    Only those with a known id: without one the agent's current run would be stopped, which may be
    that of its next turn.
    """
    query = (
        select(col(Turn.id), col(Agent.agent_id), col(Turn.runtime_run_id))
        .join(Agent, col(Agent.account_id) == col(Turn.account_id))
        .where(
            col(Turn.run_until_ms) > database_now_ms(),
            col(Turn.status) != "running",
            col(Turn.runtime_run_id).is_not(None),
        )
        .order_by(col(Turn.run_until_ms))
        .limit(MAX_AT_ONCE)
    )
    async with reading(ctx.engine) as session:
        found = (await session.exec(query)).all()
    await asyncio.gather(*(_stop(ctx, *loose) for loose in found))


async def stop_earlier_runs(ctx: AppContext, account_id: AccountId, agent_id: AgentId) -> None:
    """Stop what earlier turns left running. The caller's turn must not have posted anything yet.

    Raises Unavailable if the runtime does not confirm it.
    """
    query = select(col(Turn.id), col(Turn.runtime_run_id)).where(
        col(Turn.account_id) == account_id, col(Turn.run_until_ms).is_not(None)
    )
    async with reading(ctx.engine) as session:
        found = (await session.exec(query)).all()
    if not found:
        return
    # Each id once, then None: whatever else the agent is running.
    for run_id in dict.fromkeys([*(run_id for _, run_id in found if run_id), None]):
        if not await _is_stopped(ctx, agent_id, run_id, within_seconds=START_SECONDS):
            raise agent_unavailable()
    await _note_stopped(ctx, [turn_id for turn_id, _ in found])


async def _stop(ctx: AppContext, turn_id: TurnId, agent_id: AgentId, run_id: str | None) -> None:
    if await _is_stopped(ctx, agent_id, run_id, within_seconds=STOP_SECONDS):
        log.info("turn.loose_run_stopped", turn_id=turn_id)
        await _note_stopped(ctx, [turn_id])


async def _is_stopped(
    ctx: AppContext, agent_id: AgentId, run_id: str | None, *, within_seconds: float
) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            await ctx.runtime.cancel(agent_id, run_id)
    except (PlatformError, TimeoutError):
        return False
    return True


async def _note_stopped(ctx: AppContext, turn_ids: Sequence[TurnId]) -> None:
    change = update(Turn).where(col(Turn.id).in_(turn_ids)).values(run_until_ms=None)
    await patiently(lambda: ctx.writer.write(lambda c: c.execute(change) and None))
