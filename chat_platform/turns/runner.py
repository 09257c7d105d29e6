"""Runs one turn in its own task, from the agent's first step until no call is open."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import ColumnElement, update
from sqlmodel import col, select
from structlog.contextvars import bind_contextvars

from chat_platform.agents import agents, blocks
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY, patiently
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError
from chat_platform.models import Account, Turn
from chat_platform.ports import RunCancelled, RunEvent, RunStarted, StepChanged
from chat_platform.turns.agent_run import AgentRun
from chat_platform.turns.ending import TurnEnd, end_turn, settle_turn
from chat_platform.turns.event_log import TurnTaken
from chat_platform.turns.events import TurnEvent
from chat_platform.turns.failures import (
    EMPTY_REPLY,
    GATEWAY_AWAY,
    INTERRUPTED,
    failure_of,
)
from chat_platform.turns.loose_runs import stop_earlier_runs
from chat_platform.turns.notes import Note, note_for
from chat_platform.turns.recorder import TurnRecorder
from chat_platform.turns.tracing import trace_run
from chat_platform.values.ids import AgentId, TurnId

log = structlog.get_logger()

LAST_SECONDS = 5.0
"""How long a process that is shutting down tries to end a turn; then its lease runs out."""
CHECK_SECONDS = 3.0
"""A billing gateway that takes longer to pass its health check counts as down."""


@dataclass(frozen=True)
class TurnToRun:
    """A turn that this process owns. With `run_id`, its run began in another process."""

    id: TurnId
    account: Account
    text: str
    logged: list[TurnEvent] = field(default_factory=list[TurnEvent])
    run_id: str | None = None
    agent_id: AgentId | None = None
    """The account's agent, if already known."""
    has_untold: bool = True
    """False if the agent is known to need no note about earlier turns."""
    has_loose_run: bool = False
    """Whether an earlier turn's run may still be going on."""


async def run_turn(ctx: AppContext, turn: TurnToRun, stop: asyncio.Event) -> None:
    """Run the turn. It always ends, unless another process has taken it over."""
    bind_contextvars(account_id=turn.account.id, turn_id=turn.id)
    recorder = TurnRecorder(ctx, turn.id, logged=turn.logged)
    run = AgentRun(ctx, turn.id, turn.agent_id, turn.run_id, has_begun=turn.run_id is not None)
    try:
        end = await _outcome(ctx, turn, run, recorder, stop)
        await run.stop_if_loose()
        trace_run(run, turn.account.id, end.failure)
        end = replace(end, unwritten=recorder.unwritten, is_run_loose=run.is_loose)
        await settle_turn(ctx, turn.id, end)
    except TurnTaken:
        log.warning("turn.taken", turn_id=turn.id)
        if not ctx.settings.has_redis:
            # With Redis, its new owner continues the run.
            await run.stop_if_loose()
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await _leave(ctx, turn, run, recorder)
        except (TimeoutError, TurnTaken, *AWAY) as error:
            log.warning("turn.left", turn_id=turn.id, error=type(error).__name__)


async def _leave(ctx: AppContext, turn: TurnToRun, run: AgentRun, recorder: TurnRecorder) -> None:
    """Hand the turn over at shutdown, or end it with what has arrived."""
    if not await _handed_over(ctx, run.turn_id):
        await _ensure_not_taken(ctx, run.turn_id)
        await run.stop_if_loose()
        trace_run(run, turn.account.id, INTERRUPTED)
        end = TurnEnd("failed", INTERRUPTED, unwritten=recorder.unwritten)
        await end_turn(ctx, run.turn_id, replace(end, is_run_loose=run.is_loose))


async def _outcome(
    ctx: AppContext, turn: TurnToRun, run: AgentRun, recorder: TurnRecorder, stop: asyncio.Event
) -> TurnEnd:
    note = Note()
    try:
        run.agent_id = await patiently(
            lambda: agents.ensure_agent(ctx, turn.account, known=turn.agent_id)
        )
        if turn.has_loose_run:
            await stop_earlier_runs(ctx, turn.account.id, run.agent_id)
        if turn.has_untold:
            note = await patiently(lambda: note_for(ctx, turn.account.id))
        async with recorder:
            if not stop.is_set():
                await _run(ctx, turn, run, note, recorder, stop)
    except TurnTaken:
        raise
    except Exception as error:
        # Comes first: whatever failed, the agent must not spend any more.
        await _ensure_not_taken(ctx, turn.id)
        await run.stop_if_loose()
        failure = INTERRUPTED if turn.run_id else await _failure(ctx, turn, error)
        log.warning("turn.broke", turn_id=turn.id, error=failure, exc_info=error)
        return TurnEnd("cancelled") if stop.is_set() else TurnEnd("failed", failure)
    if stop.is_set():
        return TurnEnd("cancelled")
    if not recorder.has_text:
        return TurnEnd("failed", EMPTY_REPLY)
    return TurnEnd("finished", told=note.told)


async def _failure(ctx: AppContext, turn: TurnToRun, error: Exception) -> str:
    """Return the code of why the run failed, which the agent server may not know.

    It mistakes a missing billing gateway for a failing model, and any limit for the person's own.
    """
    failure = failure_of(error)
    if failure == "budget_spent":
        reached = await budgets.platform_is_short(ctx, turn.account.id)
        return failure_of(reached) if reached else failure
    if failure == "model_failed":
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await ctx.billing.check()
        except (PlatformError, TimeoutError):
            return GATEWAY_AWAY
    return failure


async def _run(
    ctx: AppContext,
    turn: TurnToRun,
    run: AgentRun,
    note: Note,
    recorder: TurnRecorder,
    stop: asyncio.Event,
) -> None:
    """Record the run until it is over. After a stop request it gets some seconds to end."""
    assert run.agent_id
    run.begin()
    if turn.run_id:
        events = ctx.runtime.resume(run.agent_id, turn.run_id)
    else:
        events = ctx.runtime.run(run.agent_id, turn.text, note=note.text)
    is_over = asyncio.Event()
    recording = asyncio.create_task(_record(ctx, turn, run, events, recorder))
    stopping = asyncio.create_task(_stop_when_told(run, stop, is_over))
    try:
        await asyncio.wait(
            {recording, stopping, recorder.writing}, return_when=asyncio.FIRST_COMPLETED
        )
        for failing in (recorder.writing, recording):
            if failing.done():
                failing.result()
    finally:
        is_over.set()
        recording.cancel()
        if not stop.is_set():
            stopping.cancel()
        # Waits for a stop request in flight: it must not reach the next turn's run.
        await asyncio.gather(recording, stopping, return_exceptions=True)


async def _record(
    ctx: AppContext,
    turn: TurnToRun,
    run: AgentRun,
    events: AsyncGenerator[RunEvent, None],
    recorder: TurnRecorder,
) -> None:
    step = 0
    try:
        async with aclosing(events) as happening:
            async for event in happening:
                if isinstance(event, RunStarted):
                    run.run_id = event.run_id
                    await _keep_run_id(ctx, turn.id, event.run_id)
                    continue
                recorder.record(event)
                if isinstance(event, StepChanged) and event.status != "started":
                    step += 1
                    if event.kind == "memory_edit":
                        await _keep_blocks(ctx, turn, step)
    except RunCancelled:
        if not run.was_told_to_stop:
            raise
    run.ended()


async def _keep_blocks(ctx: AppContext, turn: TurnToRun, step: int) -> None:
    """Record what the agent just changed in its memory; the turn continues if that fails."""
    try:
        await blocks.snapshot_blocks(ctx, turn.account.id, turn.id, step)
    except (PlatformError, *AWAY) as error:
        log.warning("turn.blocks_not_kept", turn_id=turn.id, step=step, error=type(error).__name__)


async def _keep_run_id(ctx: AppContext, turn_id: TurnId, run_id: str | None) -> None:
    """Store the run's id, so that another process can take it over. Raises TurnTaken."""
    change = update(Turn).where(*_is_ours(ctx, turn_id)).values(runtime_run_id=run_id)
    if not await patiently(lambda: ctx.writer.write(lambda c: c.execute(change).rowcount == 1)):
        raise TurnTaken(turn_id)


async def _handed_over(ctx: AppContext, turn_id: TurnId) -> bool:
    """End the lease at once, if the runtime keeps runs for other processes."""
    if not ctx.settings.has_redis:
        return False
    release = (
        update(Turn)
        .where(*_is_ours(ctx, turn_id), col(Turn.runtime_run_id).is_not(None))
        .values(lease_until_ms=0)
    )
    return await ctx.writer.write(lambda connection: connection.execute(release).rowcount == 1)


async def _ensure_not_taken(ctx: AppContext, turn_id: TurnId) -> None:
    """Raise TurnTaken if another process continues the turn's run, which we must not stop then.

    Where the database cannot tell, nobody else can have taken it either.
    """
    if not ctx.settings.has_redis:
        return
    query = select(col(Turn.id)).where(*_is_ours(ctx, turn_id))
    with suppress(TimeoutError, *AWAY):
        async with asyncio.timeout(CHECK_SECONDS), reading(ctx.engine) as session:
            is_ours = (await session.exec(query)).first() is not None
        if not is_ours:
            raise TurnTaken(turn_id)


def _is_ours(ctx: AppContext, turn_id: TurnId) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Turn.id) == turn_id,
        col(Turn.owner) == ctx.process_id,
        col(Turn.status) == "running",
    )


async def _stop_when_told(run: AgentRun, stop: asyncio.Event, is_over: asyncio.Event) -> None:
    await stop.wait()
    await run.stop_until(is_over)
