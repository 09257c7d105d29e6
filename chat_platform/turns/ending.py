"""Ends a turn: once, in one transaction, with the reply's text taken from the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, func, insert, select, update
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.history.pages import message_data
from chat_platform.ids import TurnId
from chat_platform.models import Account, Message, ModelCall, Turn
from chat_platform.turn_events import TurnEvent, TurnEventType, text_of
from chat_platform.turns import log as turn_log
from chat_platform.turns.failures import TurnFailure

log = structlog.get_logger()

USED_UP = 0.99
"""Of a call's token limit: models stop at the last whole word."""

EndStatus = Literal["finished", "failed", "cancelled"]

_END_TYPES: dict[EndStatus, TurnEventType] = {
    "finished": "turn.completed",
    "failed": "turn.failed",
    "cancelled": "turn.cancelled",
}


@dataclass(frozen=True)
class TurnEnd:
    """How a turn ended. `told` are earlier turns that the agent was told of in this one."""

    status: EndStatus
    failure: TurnFailure | None = None
    told: Sequence[TurnId] = ()


async def end_turn(ctx: AppContext, turn_id: TurnId, end: TurnEnd) -> bool:
    """End the turn that this process owns; False when it was over, or another's, already.

    Call it when the run is over and no call is open.
    """

    def write(connection: Connection) -> list[TurnEvent]:
        return _Ending(ctx, connection, turn_id, end).write()

    events = await ctx.writer.write(write)
    if events:
        await ctx.turn_feed.publish(turn_id, events)
        code = events[-1].data.get("code")
        log.info("turn.ended", turn_id=turn_id, how=events[-1].type, code=code)
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
        """Return the last events; none when the turn was over, or another's, already."""
        turn = turn_log.lock_running(self._connection, self._turn_id, self._ctx.process_id)
        if turn is None or turn.conversation_id is None:
            return []
        if self._end.status == "failed" and turn.cancel_requested_at_ms:
            # The calls that a cancel made the proxy refuse look like failures to the run.
            self._end = TurnEnd("cancelled", told=self._end.told)
        logged = turn_log.read_all(self._connection, self._turn_id)
        reply = self._reply(turn, text_of(logged))
        events = _last_events(logged, reply, self._end)
        if reply:
            self._connection.execute(insert(Message), reply.model_dump(exclude={"position"}))
        turn_log.compact(self._connection, self._turn_id, logged + events)
        _close_rows(self._connection, self._turn_id, turn.account_id, self._end)
        return events

    def _reply(self, turn: turn_log.LockedTurn, text: str) -> Message | None:
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
        """Tell whether a call used up its limit: the runtime takes that for a normal end."""
        # Not the last call: a long reply may be followed by one that sums the conversation up.
        longest = select(func.max(col(ModelCall.completion_tokens))).where(
            col(ModelCall.turn_id) == self._turn_id, col(ModelCall.kind) == "chat"
        )
        tokens = self._connection.execute(longest).scalar_one() or 0
        return tokens >= self._ctx.settings.max_reply_tokens * USED_UP


def _last_events(logged: list[TurnEvent], reply: Message | None, end: TurnEnd) -> list[TurnEvent]:
    number = logged[-1].number if logged else 0
    events: list[TurnEvent] = []
    if reply:
        number += 1
        events.append(TurnEvent(number, "message.completed", {"message": message_data(reply)}))
    data: dict[str, Any] = {}
    if end.failure:
        data = {"code": end.failure.code, "detail": end.failure.detail}
    return [*events, TurnEvent(number + 1, _END_TYPES[end.status], data)]


def _close_rows(connection: Connection, turn_id: TurnId, account_id: str, end: TurnEnd) -> None:
    now = now_ms()
    connection.execute(
        update(Turn)
        .where(col(Turn.id) == turn_id)
        .values(
            status=end.status,
            ended_at_ms=now,
            error_code=end.failure.code if end.failure else None,
            error_detail=end.failure.detail if end.failure else None,
            # The runtime drops a run that failed or was stopped, the person's message included.
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
