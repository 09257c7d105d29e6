"""Runs one turn in a task of its own, from the agent's first step until no call is open."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import structlog
from sqlalchemy import update
from sqlmodel import col

from chat_platform import agents, memory
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.ids import AccountId, AgentId, TurnId
from chat_platform.models import Account, Turn
from chat_platform.ports import RunEvent, RunStarted, StepChanged
from chat_platform.turn_events import TurnEvent
from chat_platform.turns.ending import TurnEnd, end_turn
from chat_platform.turns.failures import (
    EMPTY_REPLY,
    GATEWAY_AWAY,
    INTERRUPTED,
    TurnFailure,
    failure_of,
)
from chat_platform.turns.log import TurnTaken
from chat_platform.turns.notes import Note, note_for
from chat_platform.turns.recorder import TurnRecorder

log = structlog.get_logger()

STOP_AGAIN_SECONDS = 0.3
STOP_ATTEMPTS = 30
"""A run that was told to stop this often and goes on is left to itself; its calls are refused."""
CLOSE_SECONDS = 10.0
"""How long a turn that is over waits for its last calls to be booked."""
CHECK_SECONDS = 3.0
"""A billing gateway that takes longer to say that it is well is not."""


@dataclass(frozen=True)
class TurnToRun:
    """A turn that this process owns. With `run_id`, its run began in another process."""

    id: TurnId
    account: Account
    text: str
    logged: list[TurnEvent] = field(default_factory=list)
    run_id: str | None = None
    agent_id: AgentId | None = None
    """The account's agent, where it is known already."""
    has_untold: bool = True
    """False when it is known that the agent need be told of no earlier turn."""


async def run_turn(ctx: AppContext, turn: TurnToRun, stop: asyncio.Event) -> None:
    """Run the turn to its end. It is always left ended, unless another process took it."""
    try:
        end = await _outcome(ctx, turn, stop)
        await ledger.wait_until_closed(ctx, turn.id, timeout_seconds=CLOSE_SECONDS)
    except TurnTaken:
        log.warning("turn.taken", turn_id=turn.id)
        return
    except asyncio.CancelledError:
        # The process goes down: another finishes the turn, or at least what has arrived is kept.
        if await _handed_over(ctx, turn.id):
            return
        end = TurnEnd("failed", INTERRUPTED)
    await end_turn(ctx, turn.id, end)


async def _outcome(ctx: AppContext, turn: TurnToRun, stop: asyncio.Event) -> TurnEnd:
    note = Note()
    recorder = TurnRecorder(ctx, turn.id, logged=turn.logged)
    try:
        agent_id = await agents.ensure_agent(ctx, turn.account, known=turn.agent_id)
        if turn.has_untold:
            note = await note_for(ctx, AccountId(turn.account.id))
        async with recorder:
            if not stop.is_set():
                await _run(ctx, turn, agent_id, note, recorder, stop)
    except TurnTaken:
        raise
    except Exception as error:
        failure = INTERRUPTED if turn.run_id else await _failure(ctx, error)
        log.warning("turn.broke", turn_id=turn.id, code=failure.code, exc_info=error)
        return TurnEnd("cancelled") if stop.is_set() else TurnEnd("failed", failure)
    if stop.is_set():
        return TurnEnd("cancelled")
    if not recorder.has_text:
        return TurnEnd("failed", EMPTY_REPLY)
    return TurnEnd("finished", told=note.told)


async def _failure(ctx: AppContext, error: Exception) -> TurnFailure:
    """Say why the run failed: to an agent, a billing gateway that is away is a failing model."""
    failure = failure_of(error)
    if failure.code == "model_failed":
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await ctx.billing.check()
        except (PlatformError, TimeoutError):
            return GATEWAY_AWAY
    return failure


async def _run(
    ctx: AppContext,
    turn: TurnToRun,
    agent_id: AgentId,
    note: Note,
    recorder: TurnRecorder,
    stop: asyncio.Event,
) -> None:
    """Record the run until it is over. Told to stop, it gets some seconds to be over."""
    if turn.run_id:
        events = ctx.runtime.resume(agent_id, turn.run_id)
    else:
        events = ctx.runtime.run(agent_id, turn.text, note=note.text)
    recording = asyncio.create_task(_record(ctx, turn, events, recorder))
    stopping = asyncio.create_task(_stop_when_told(ctx, agent_id, stop))
    try:
        await asyncio.wait({recording, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if recording.done():
            recording.result()
    finally:
        recording.cancel()
        stopping.cancel()
        await asyncio.gather(recording, stopping, return_exceptions=True)


async def _record(
    ctx: AppContext, turn: TurnToRun, events: AsyncGenerator[RunEvent, None], recorder: TurnRecorder
) -> None:
    step = 0
    async with aclosing(events) as run:
        async for event in run:
            if isinstance(event, RunStarted):
                await _keep_run_id(ctx, turn.id, event.run_id)
                continue
            recorder.record(event)
            if isinstance(event, StepChanged) and event.status != "started":
                step += 1
                if event.kind == "memory_edit":
                    await _keep_blocks(ctx, turn, step)


async def _keep_blocks(ctx: AppContext, turn: TurnToRun, step: int) -> None:
    """Record what the agent just changed in its memory; the turn goes on without, if need be."""
    try:
        await memory.snapshot_blocks(ctx, AccountId(turn.account.id), turn.id, step)
    except PlatformError as error:
        log.warning("turn.blocks_not_kept", turn_id=turn.id, step=step, code=error.code)


async def _keep_run_id(ctx: AppContext, turn_id: TurnId, run_id: str | None) -> None:
    """Remember the run, so that another process can take it over."""
    change = update(Turn).where(col(Turn.id) == turn_id).values(runtime_run_id=run_id)
    await ctx.writer.write(lambda connection: connection.execute(change) and None)


async def _handed_over(ctx: AppContext, turn_id: TurnId) -> bool:
    """Let the lease run out at once, where the runtime keeps runs for other processes."""
    if not ctx.settings.has_redis:
        return False
    release = (
        update(Turn)
        .where(
            col(Turn.id) == turn_id,
            col(Turn.owner) == ctx.process_id,
            col(Turn.status) == "running",
            col(Turn.runtime_run_id).is_not(None),
        )
        .values(lease_until_ms=0)
    )
    return await ctx.writer.write(lambda connection: connection.execute(release).rowcount == 1)


async def _stop_when_told(ctx: AppContext, agent_id: AgentId, stop: asyncio.Event) -> None:
    """End the agent's run once `stop` is set; again and again, as the run may begin only now."""
    await stop.wait()
    for _ in range(STOP_ATTEMPTS):
        ctx.open_calls.abort(agent_id)
        with suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(1):
                await ctx.runtime.cancel(agent_id)
        await asyncio.sleep(STOP_AGAIN_SECONDS)
