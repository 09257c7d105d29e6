"""Keeps turns from being lost with their process: leases, recovery, and an orderly shutdown.

Every process renews the leases of its turns and looks for turns whose lease has run out. These
are resumed if the runtime can; otherwise they end as `interrupted`, with the text so far.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from sqlalchemy import update
from sqlmodel import col, select
from structlog.contextvars import bind_contextvars

from chat_platform.agents import agents, lock
from chat_platform.billing.reconciliation import expire_calls
from chat_platform.context import AppContext
from chat_platform.database.clock import database_now_ms
from chat_platform.database.engine import reading
from chat_platform.models import Account, Turn
from chat_platform.process.background import Routine, running
from chat_platform.turns import event_log
from chat_platform.turns.agent_run import AgentRun
from chat_platform.turns.ending import TurnEnd, settle_turn
from chat_platform.turns.failures import INTERRUPTED
from chat_platform.turns.loose_runs import LOOK_SECONDS as LOOSE_LOOK_SECONDS
from chat_platform.turns.loose_runs import stop_loose_runs
from chat_platform.turns.runner import TurnToRun, run_turn

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""With a lease of 20 s, readers of a dead process's turn learn of its end within 30 s."""


@asynccontextmanager
async def kept_turns(ctx: AppContext) -> AsyncIterator[None]:
    """Look after turns while the process serves; then end or hand over those still running."""
    renewing = Routine("renew_turns", lock.RENEW_SECONDS, partial(renew_leases, ctx))
    recovering = Routine("recover_turns", LOOK_SECONDS, partial(recover_turns, ctx))
    stopping = Routine("stop_loose_runs", LOOSE_LOOK_SECONDS, partial(stop_loose_runs, ctx))
    async with running(renewing, recovering, stopping):
        try:
            yield
        finally:
            await drain(ctx, grace_seconds=0)


async def drain(ctx: AppContext, *, grace_seconds: float) -> None:
    """Accept no new turns, give the running ones some time, then interrupt them.

    Model calls get the same time: they may be those of another process's turns.
    """
    ctx.running_turns.draining.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds):
            while ctx.running_turns.ids or ctx.open_calls.total:
                await ctx.running_turns.wait()
                await ctx.open_calls.wait()
    ctx.running_turns.leaving.set()
    await ctx.running_turns.interrupt()


async def renew_leases(ctx: AppContext) -> None:
    """Renew the leases of all turns running here, and stop those cancelled elsewhere.

    In one statement. The notification of a cancel is quicker, but may get lost.
    """
    ids = ctx.running_turns.ids
    if not ids:
        return
    renewal = (
        update(Turn)
        .where(
            col(Turn.id).in_(ids),
            col(Turn.owner) == ctx.process_id,
            col(Turn.status) == "running",
        )
        .values(lease_until_ms=lock.lease_until_ms())
        .returning(col(Turn.id), col(Turn.cancel_requested_at_ms))
    )
    renewed = await ctx.writer.write(lambda connection: connection.execute(renewal).all())
    for turn_id, cancelled_at_ms in renewed:
        if cancelled_at_ms is not None:
            ctx.running_turns.stop(turn_id)


async def recover_turns(ctx: AppContext) -> None:
    """Take over every turn whose lease has run out."""
    await lock.end_dead_actions(ctx)
    expired = select(Turn).where(
        col(Turn.status) == "running",
        col(Turn.kind) == "message",
        col(Turn.lease_until_ms) < database_now_ms(),
    )
    async with reading(ctx.engine) as session:
        turns = (await session.exec(expired)).all()
    for turn in turns:
        if turn.id not in ctx.running_turns.ids and await _claim(ctx, turn):
            log.warning("turn.recovered", turn_id=turn.id, owner=turn.owner)
            # Otherwise they would outlast the turn, and its receipt would lack them.
            await expire_calls(ctx, turn.id, owner=turn.owner)
            _recover(ctx, turn)


async def _claim(ctx: AppContext, turn: Turn) -> bool:
    """Become the turn's owner; False if another process was faster."""
    claim = (
        update(Turn)
        .where(
            col(Turn.id) == turn.id,
            col(Turn.status) == "running",
            col(Turn.owner) == turn.owner,
            col(Turn.lease_until_ms) == turn.lease_until_ms,
        )
        .values(owner=ctx.process_id, lease_until_ms=lock.lease_until_ms())
    )
    return await ctx.writer.write(lambda connection: connection.execute(claim).rowcount == 1)


def _recover(ctx: AppContext, turn: Turn) -> None:
    settle = _resume if turn.runtime_run_id and ctx.settings.has_redis else _interrupt
    ctx.running_turns.start(turn.id, lambda stop: settle(ctx, turn, stop))


async def _resume(ctx: AppContext, turn: Turn, stop: asyncio.Event) -> None:
    if turn.cancel_requested_at_ms:
        stop.set()
    turn_id = turn.id
    async with reading(ctx.engine) as session:
        account = await session.get_one(Account, turn.account_id)
    logged = await event_log.read(ctx, turn_id)
    to_run = TurnToRun(turn_id, account, "", logged, run_id=turn.runtime_run_id)
    await run_turn(ctx, to_run, stop)


async def _interrupt(ctx: AppContext, turn: Turn, _stop: asyncio.Event) -> None:
    """End a dead process's turn, and stop its run, which may still be going on."""
    turn_id = turn.id
    bind_contextvars(account_id=turn.account_id, turn_id=turn_id)
    await ctx.turn_feed.tell_to_stop(turn_id)
    agent_id = await agents.agent_of(ctx, turn.account_id)
    run = AgentRun(ctx, turn_id, agent_id, turn.runtime_run_id, has_begun=agent_id is not None)
    await run.stop()
    await settle_turn(ctx, turn_id, TurnEnd("failed", INTERRUPTED, is_run_loose=run.is_loose))
