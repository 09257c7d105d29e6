"""The durable log of a turn: only its owner appends to it, any number of readers follow it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Insert, delete, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from chat_platform.context import AppContext
from chat_platform.database.away import AWAY
from chat_platform.database.engine import reading
from chat_platform.models import Turn, TurnEventRow
from chat_platform.turns.events import TurnEvent, merge_text
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, ConversationId, TurnId

LOOK_AGAIN_SECONDS = 5.0
"""How long an idle reader waits before it reads the log again, in case a wake-up was lost."""


class TurnTaken(Exception):
    """The turn is over or has another owner: the caller must stop, and settle nothing."""


@dataclass(frozen=True)
class _Append:
    turn_id: TurnId
    owner: str
    events: Sequence[TurnEvent]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return _rows(self.turn_id, self.events)


class LockedTurn(NamedTuple):
    account_id: AccountId
    conversation_id: ConversationId | None
    cancel_requested_at_ms: int | None


async def append(ctx: AppContext, turn_id: TurnId, events: Sequence[TurnEvent]) -> None:
    """Make the events durable, then show them to readers. Raises TurnTaken.

    Appending the same events again changes nothing: the first commit may have succeeded although
    its answer was lost.
    """
    entry = _Append(turn_id, ctx.process_id, events)
    if not await ctx.writer.write_together(_append_all, entry):
        raise TurnTaken(turn_id)
    await ctx.turn_feed.publish(turn_id, events)


async def follow(
    ctx: AppContext, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Yield the events after number `after`, then new ones as they arrive, up to the turn's end.

    Any number of readers may follow, in any process, each at its own pace.
    """
    reached = after
    with ctx.turn_feed.listen(turn_id) as news:
        events = await _catch_up(ctx, turn_id, reached)
        while events is not None:
            for event in _missing(events, reached):
                reached = event.number
                yield event
                if event.is_end:
                    return
            events = await _next_events(ctx, turn_id, news, reached)


async def read(ctx: AppContext, turn_id: TurnId, *, after: int = 0) -> list[TurnEvent]:
    async with reading(ctx.engine) as session:
        rows = (await session.exec(_entries(turn_id, after))).all()
    return [TurnEvent(*row) for row in rows]


def lock_running(connection: Connection, turn_id: TurnId, owner: str) -> LockedTurn | None:
    """Return the turn if it is running and is `owner`'s, locked until the transaction ends."""
    query = (
        select(col(Turn.account_id), col(Turn.conversation_id), col(Turn.cancel_requested_at_ms))
        .where(col(Turn.id) == turn_id, col(Turn.owner) == owner, col(Turn.status) == "running")
        .with_for_update()
    )
    row = connection.execute(query).one_or_none()
    return LockedTurn(*row) if row else None


def insert_events(connection: Connection, turn_id: TurnId, events: Sequence[TurnEvent]) -> None:
    connection.execute(insert(TurnEventRow), _rows(turn_id, events))


def read_all(connection: Connection, turn_id: TurnId) -> list[TurnEvent]:
    return [TurnEvent(*row) for row in connection.execute(_entries(turn_id, 0))]


def compact(connection: Connection, turn_id: TurnId, events: list[TurnEvent]) -> None:
    """Merge the text of an ended turn's log into few rows.

    Readers are not affected: numbers count characters (see TurnEvent), so each can still ask for
    what comes after the last piece that it got.
    """
    connection.execute(delete(TurnEventRow).where(col(TurnEventRow.turn_id) == turn_id))
    insert_events(connection, turn_id, merge_text(events))


def _append_all(connection: Connection, entries: list[_Append]) -> list[bool]:
    """Append for all waiting turns, in two statements; False for those that were taken over."""
    query = (
        select(col(Turn.id), col(Turn.owner))
        .where(col(Turn.id).in_([e.turn_id for e in entries]), col(Turn.status) == "running")
        .order_by(col(Turn.id))
        .with_for_update()
    )
    running = {(turn_id, owner) for turn_id, owner in connection.execute(query)}
    is_ours = [(entry.turn_id, entry.owner) in running for entry in entries]
    rows = [row for e, ours in zip(entries, is_ours, strict=True) if ours for row in e.rows]
    if rows:
        # Only the turn's owner appends: an existing row with this number is its own.
        connection.execute(_insert_if_absent(connection), rows)
    return is_ours


def _insert_if_absent(connection: Connection) -> Insert:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(TurnEventRow).on_conflict_do_nothing()


def _rows(turn_id: TurnId, events: Sequence[TurnEvent]) -> list[dict[str, Any]]:
    at_ms = now_ms()
    return [
        {
            "turn_id": turn_id,
            "number": event.number,
            "type": event.type,
            "data": event.data,
            "created_at_ms": at_ms,
        }
        for event in events
    ]


def _entries(turn_id: TurnId, after: int) -> Select[int, Any, dict[str, Any]]:
    return (
        select(col(TurnEventRow.number), col(TurnEventRow.type), col(TurnEventRow.data))
        .where(col(TurnEventRow.turn_id) == turn_id, col(TurnEventRow.number) > after)
        .order_by(col(TurnEventRow.number))
    )


def _missing(events: Sequence[TurnEvent], reached: int) -> list[TurnEvent]:
    rests = (event.rest_after(reached) for event in events)
    return [rest for rest in rests if rest]


async def _next_events(
    ctx: AppContext,
    turn_id: TurnId,
    news: asyncio.Queue[Sequence[TurnEvent]],
    reached: int,
) -> Sequence[TurnEvent] | None:
    """Wait for news and return it; read the log if there is none, or if events are missing."""
    events: Sequence[TurnEvent] = ()
    # Not wait_for: it would create a task for every piece of text.
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_AGAIN_SECONDS):
            events = await news.get()
    if events and events[0].number - events[0].width <= reached:
        return events
    try:
        return await _catch_up(ctx, turn_id, reached)
    except AWAY:
        # The run continues during an outage: its reader waits too, and tries again later.
        return ()


async def _catch_up(ctx: AppContext, turn_id: TurnId, reached: int) -> list[TurnEvent] | None:
    """Return the log's events after `reached`; None if there are none and none will come."""
    status = select(col(Turn.status)).where(col(Turn.id) == turn_id)
    async with reading(ctx.engine) as session:
        # Queried before the log: if the turn ends in between, the log already contains its end.
        is_running = (await session.exec(status)).one_or_none() == "running"
        rows = (await session.exec(_entries(turn_id, reached))).all()
    events = [TurnEvent(*row) for row in rows]
    return events if events or is_running else None
