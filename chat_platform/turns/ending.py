"""Ends a turn: once, in one transaction, with the reply's text taken from the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, insert, update
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.history.pages import message_data
from chat_platform.ids import TurnId
from chat_platform.models import Account, Message, Turn
from chat_platform.turn_events import TurnEvent, TurnEventType, text_of
from chat_platform.turns import log as turn_log
from chat_platform.turns.failures import TurnFailure

log = structlog.get_logger()

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
        return _end(connection, turn_id, ctx.process_id, end)

    events = await ctx.writer.write(write)
    if events:
        await ctx.turn_feed.publish(turn_id, events)
        code = events[-1].data.get("code")
        log.info("turn.ended", turn_id=turn_id, how=events[-1].type, code=code)
    return bool(events)


def _end(connection: Connection, turn_id: TurnId, owner: str, end: TurnEnd) -> list[TurnEvent]:
    turn = turn_log.lock_running(connection, turn_id, owner)
    if turn is None or turn.conversation_id is None:
        return []
    if end.status == "failed" and turn.cancel_requested_at_ms:
        # The calls that a cancel made the proxy refuse look like failures to the run.
        end = TurnEnd("cancelled", told=end.told)
    logged = turn_log.read_all(connection, turn_id)
    reply = _reply(turn_id, turn, text_of(logged), end.status)
    events = _last_events(logged, reply, end)
    if reply:
        connection.execute(insert(Message), reply.model_dump(exclude={"position"}))
    turn_log.compact(connection, turn_id, logged + events)
    _close_rows(connection, turn_id, turn.account_id, end)
    return events


def _reply(
    turn_id: TurnId, turn: turn_log.LockedTurn, text: str, status: EndStatus
) -> Message | None:
    if not text or turn.conversation_id is None:
        return None
    return Message(
        account_id=turn.account_id,
        conversation_id=turn.conversation_id,
        turn_id=turn_id,
        role="assistant",
        content=text,
        status="complete" if status == "finished" else "partial",
    )


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
