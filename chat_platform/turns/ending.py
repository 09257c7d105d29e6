"""Ends a turn: once, in one transaction, with the reply's text taken from the log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, func, insert, update
from sqlmodel import col, select

from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.conversations.history import message_data
from chat_platform.database.away import patiently
from chat_platform.models import Account, Message, ModelCall, Turn
from chat_platform.turns import event_log, metrics
from chat_platform.turns.events import TurnEvent, TurnEventType, text_of
from chat_platform.turns.failures import error_of
from chat_platform.turns.loose_runs import loose_until_ms
from chat_platform.turns.tracing import trace_turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, TurnId

log = structlog.get_logger()

CLOSE_SECONDS = 10.0
"""How long a turn that is over waits for its last calls to be settled."""
USED_UP = 0.99
"""The share of a call's token limit that counts as all: models stop at the last whole word."""

EndStatus = Literal["finished", "failed", "cancelled"]

_END_TYPES: dict[EndStatus, TurnEventType] = {
    "finished": "turn.completed",
    "failed": "turn.failed",
    "cancelled": "turn.cancelled",
}


@dataclass(frozen=True)
class TurnEnd:
    """How a turn ended. `told`: the earlier turns that the agent was told about in this one."""

    status: EndStatus
    failure: str | None = None
    """The code of why it failed, one of `failures.py`."""
    told: Sequence[TurnId] = ()
    unwritten: Sequence[TurnEvent] = ()
    """The run's events that may not be in the log yet; they are stored with the end."""
    is_run_loose: bool = False
    """Whether the run may still be going on; until it is stopped, its calls are refused."""


async def settle_turn(ctx: AppContext, turn_id: TurnId, end: TurnEnd) -> None:
    """End the turn once its calls are closed, waiting out any database outage.

    If it cannot be ended for another reason, its lease runs out and recovery tries again.
    """

    async def settle() -> None:
        await ledger.wait_until_closed(ctx, turn_id, timeout_seconds=CLOSE_SECONDS)
        await end_turn(ctx, turn_id, end)

    try:
        await patiently(settle, seconds=None)
    except Exception:
        log.exception("turn.not_ended", turn_id=turn_id)


async def end_turn(ctx: AppContext, turn_id: TurnId, end: TurnEnd) -> bool:
    """End the turn; False if it is already over, or no longer owned by this process.

    Call it when the run is over and no call is open. After a failure, call it again: if the
    commit succeeded and only its answer was lost, nothing is written twice.
    """

    def write(connection: Connection) -> list[TurnEvent]:
        return _Ending(ctx, connection, turn_id, end).write()

    events = await ctx.writer.write(write)
    # Even without events: an earlier attempt that seemed to fail may have ended the turn.
    await ctx.turn_feed.publish(turn_id, events)
    if events:
        how, code = events[-1].type, events[-1].data.get("code")
        metrics.count_end(how.removeprefix("turn."), code)
        log.info("turn.ended", turn_id=turn_id, how=how, error=code)
        await trace_turn(ctx, turn_id)
    return bool(events)


class _Ending:
    """The end of one turn, within one transaction."""

    def __init__(
        self, ctx: AppContext, connection: Connection, turn_id: TurnId, end: TurnEnd
    ) -> None:
        self._ctx = ctx
        self._connection = connection
        self._turn_id = turn_id
        self._end = end

    def write(self) -> list[TurnEvent]:
        """Return the last events; none if the turn is already over or has another owner."""
        turn = event_log.lock_running(self._connection, self._turn_id, self._ctx.process_id)
        if turn is None or turn.conversation_id is None:
            return []
        if self._end.status == "failed" and turn.cancel_requested_at_ms:
            # After a cancel the proxy refuses calls, which the run reports as failures.
            self._end = replace(self._end, status="cancelled", failure=None)
        logged = event_log.read_all(self._connection, self._turn_id)
        rest = _rest_after(logged, self._end.unwritten)
        reply = self._reply(turn, text_of(logged + rest))
        events = [*rest, *_last_events(logged + rest, reply, self._end)]
        if reply:
            self._connection.execute(insert(Message), reply.model_dump(exclude={"position"}))
        event_log.compact(self._connection, self._turn_id, logged + events)
        _close_rows(self._connection, self._turn_id, turn.account_id, self._end)
        return events

    def _reply(self, turn: event_log.LockedTurn, text: str) -> Message | None:
        if not text or turn.conversation_id is None:
            return None
        is_whole = self._end.status == "finished" and not self._is_cut()
        return Message(
            account_id=turn.account_id,
            conversation_id=turn.conversation_id,
            turn_id=self._turn_id,
            role="assistant",
            content=text,
            status="complete" if is_whole else "partial",
        )

    def _is_cut(self) -> bool:
        """Tell whether a call used up its limit, which the runtime treats as a normal end."""
        # Not the last call: after a long reply, that may be one that summarises the conversation.
        longest = select(func.max(col(ModelCall.completion_tokens))).where(
            col(ModelCall.turn_id) == self._turn_id, col(ModelCall.kind) == "chat"
        )
        tokens = self._connection.execute(longest).scalar_one() or 0
        return tokens >= self._ctx.settings.max_reply_tokens * USED_UP


def _rest_after(logged: list[TurnEvent], unwritten: Sequence[TurnEvent]) -> list[TurnEvent]:
    reached = logged[-1].number if logged else 0
    rests = (event.rest_after(reached) for event in unwritten)
    return [rest for rest in rests if rest]


def _last_events(logged: list[TurnEvent], reply: Message | None, end: TurnEnd) -> list[TurnEvent]:
    number = logged[-1].number if logged else 0
    events: list[TurnEvent] = []
    if reply:
        number += 1
        events.append(TurnEvent(number, "message.completed", {"message": message_data(reply)}))
    data: dict[str, Any] = {}
    if end.failure:
        data = {"code": end.failure, "detail": str(error_of(end.failure))}
    return [*events, TurnEvent(number + 1, _END_TYPES[end.status], data)]


def _close_rows(
    connection: Connection, turn_id: TurnId, account_id: AccountId, end: TurnEnd
) -> None:
    now = now_ms()
    connection.execute(
        update(Turn)
        .where(col(Turn.id) == turn_id)
        .values(
            status=end.status,
            ended_at_ms=now,
            error_code=end.failure,
            error_detail=str(error_of(end.failure)) if end.failure else None,
            run_until_ms=loose_until_ms() if end.is_run_loose else None,
            # The runtime drops failed and stopped runs, including the person's message.
            is_known_to_agent=end.status == "finished",
        )
    )
    if end.status == "finished" and end.told:
        connection.execute(
            update(Turn).where(col(Turn.id).in_(end.told)).values(is_known_to_agent=True)
        )
    if end.status == "failed":
        connection.execute(
            update(Message)
            .where(col(Message.turn_id) == turn_id, col(Message.role) == "user")
            .values(status="failed")
        )
    connection.execute(
        update(Account).where(col(Account.id) == account_id).values(last_active_at_ms=now)
    )
