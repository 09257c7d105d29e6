"""Keeps turns from being lost with their process: leases, recovery, and an orderly end.

Every process renews the leases of its turns and looks for turns whose lease has run out. Those
are resumed where the runtime can, and else end as `interrupted` with the text that had arrived.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from sqlalchemy import select, update
from sqlmodel import col

from chat_platform import agents, turn_lock
from chat_platform.background import Routine, running
from chat_platform.billing import ledger
from chat_platform.billing.reconciliation import expire_calls
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.errors import PlatformError
from chat_platform.ids import AccountId, TurnId
from chat_platform.models import Account, Turn
from chat_platform.turns import log as turn_log
from chat_platform.turns.ending import TurnEnd, end_turn
from chat_platform.turns.failures import INTERRUPTED
from chat_platform.turns.runner import TurnToRun, run_turn

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""With a lease of 20 s, whoever waits for a dead process's turn hears of its end within 30 s."""
CLOSE_SECONDS = 5.0


@asynccontextmanager
async def kept_turns(ctx: AppContext) -> AsyncIterator[None]:
    """Look after turns while the process serves; end or hand over what still runs afterwards."""
    renewing = Routine("renew_turns", turn_lock.RENEW_SECONDS, partial(renew_leases, ctx))
    recovering = Routine("recover_turns", LOOK_SECONDS, partial(recover_turns, ctx))
    async with running(renewing, recovering):
        try:
            yield
        finally:
            await drain(ctx, grace_seconds=0)


async def drain(ctx: AppContext, *, grace_seconds: float) -> None:
    """Take no new turns, give the running ones some time, then interrupt them."""
    ctx.running_turns.draining.set()
    await ctx.running_turns.wait(grace_seconds)
    await ctx.running_turns.interrupt()


async def renew_leases(ctx: AppContext) -> None:
    """Renew the leases of all turns that run here, in one statement."""
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
        .values(lease_until_ms=turn_lock.lease_until_ms())
    )
    await ctx.writer.write(lambda connection: connection.execute(renewal) and None)


async def recover_turns(ctx: AppContext) -> None:
    """Take over every turn whose owner let its lease run out. Live leases are left alone."""
    await turn_lock.end_dead_actions(ctx)
    expired = select(Turn).where(
        col(Turn.status) == "running",
        col(Turn.kind) == "message",
        col(Turn.lease_until_ms) < now_ms(),
    )
    async with reading(ctx.engine) as session:
        turns = (await session.execute(expired)).scalars().all()
    for turn in turns:
        if TurnId(turn.id) not in ctx.running_turns.ids and await _claim(ctx, turn):
            log.warning("turn.recovered", turn_id=turn.id, owner=turn.owner)
            # Nobody else would close them before the turn ends: its receipt would lack them.
            await expire_calls(ctx, TurnId(turn.id), owner=turn.owner)
            _recover(ctx, turn)


async def _claim(ctx: AppContext, turn: Turn) -> bool:
    """Become the turn's owner; False when another process was faster."""
    claim = (
        update(Turn)
        .where(
            col(Turn.id) == turn.id,
            col(Turn.status) == "running",
            col(Turn.owner) == turn.owner,
            col(Turn.lease_until_ms) == turn.lease_until_ms,
        )
        .values(owner=ctx.process_id, lease_until_ms=turn_lock.lease_until_ms())
    )
    return await ctx.writer.write(lambda connection: connection.execute(claim).rowcount == 1)


def _recover(ctx: AppContext, turn: Turn) -> None:
    settle = _resume if turn.runtime_run_id and ctx.settings.has_redis else _interrupt
    ctx.running_turns.start(TurnId(turn.id), lambda stop: settle(ctx, turn, stop))


async def _resume(ctx: AppContext, turn: Turn, stop: asyncio.Event) -> None:
    if turn.cancel_requested_at_ms:
        stop.set()
    turn_id = TurnId(turn.id)
    async with reading(ctx.engine) as session:
        account = await session.get_one(Account, turn.account_id)
    logged = await turn_log.read(ctx, turn_id)
    to_run = TurnToRun(turn_id, account, "", logged, run_id=turn.runtime_run_id)
    await run_turn(ctx, to_run, stop)


async def _interrupt(ctx: AppContext, turn: Turn, _stop: asyncio.Event) -> None:
    """End the turn of a dead process, and what its agent may still be doing."""
    agent_id = await agents.agent_of(ctx, AccountId(turn.account_id))
    if agent_id:
        ctx.open_calls.abort(agent_id)
        await ctx.turn_feed.tell_to_stop(TurnId(turn.id), agent_id)
        with suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(1):
                await ctx.runtime.cancel(agent_id)
    turn_id = TurnId(turn.id)
    await ledger.wait_until_closed(ctx, turn_id, timeout_seconds=CLOSE_SECONDS)
    await end_turn(ctx, turn_id, TurnEnd("failed", INTERRUPTED))
