"""The durable log of a turn: appended by its owner alone, followed by any number of readers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, insert, select
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.ids import TurnId
from chat_platform.models import Turn, TurnEventRow
from chat_platform.turn_events import TurnEvent, merge_text

LOOK_AGAIN_SECONDS = 5.0
"""How long a silent reader waits before it reads the log again, in case a wake-up was lost."""


class TurnTaken(Exception):
    """The turn is over or has another owner: whoever gets this stops, and settles nothing."""


@dataclass(frozen=True)
class _Append:
    turn_id: TurnId
    owner: str
    events: Sequence[TurnEvent]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return _rows(self.turn_id, self.events)


class LockedTurn(NamedTuple):
    account_id: str
    conversation_id: str | None
    cancel_requested_at_ms: int | None


async def append(ctx: AppContext, turn_id: TurnId, events: Sequence[TurnEvent]) -> None:
    """Make the events durable, then show them to readers. Raises TurnTaken."""
    entry = _Append(turn_id, ctx.process_id, events)
    if not await asyncio.shield(ctx.writer.put(_append_all, entry)):
        raise TurnTaken(turn_id)
    await ctx.turn_feed.publish(turn_id, events)


async def follow(
    ctx: AppContext, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Yield what a reader at number `after` lacks, then what comes, up to the turn's end.

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
        rows = (await session.execute(_entries(turn_id, after))).all()
    return [TurnEvent(*row) for row in rows]


def lock_running(connection: Connection, turn_id: TurnId, owner: str) -> LockedTurn | None:
    """Return the turn if it runs and is `owner`'s, locked until the transaction ends."""
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
    """Replace the log of a turn that has ended by the same with its text in few rows.

    No reader notices: numbers count characters (see TurnEvent), so each can still ask for what
    comes after the last piece that it got.
    """
    connection.execute(delete(TurnEventRow).where(col(TurnEventRow.turn_id) == turn_id))
    insert_events(connection, turn_id, merge_text(events))


def _append_all(connection: Connection, entries: list[_Append]) -> list[bool]:
    """Append for all turns that wait, in two statements; False for those that were taken."""
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
        connection.execute(insert(TurnEventRow), rows)
    return is_ours


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


def _entries(turn_id: TurnId, after: int) -> Select[int, str, dict[str, Any]]:
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
    """Wait for news; return it, or what the log has where the news has a gap or says nothing."""
    events: Sequence[TurnEvent] = ()
    # Not wait_for: it makes a task for every piece of text.
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_AGAIN_SECONDS):
            events = await news.get()
    if events and events[0].number - events[0].width <= reached:
        return events
    return await _catch_up(ctx, turn_id, reached)


async def _catch_up(ctx: AppContext, turn_id: TurnId, reached: int) -> list[TurnEvent] | None:
    """Return what the log has after `reached`; None when nothing is there and nothing will come."""
    status = select(col(Turn.status)).where(col(Turn.id) == turn_id)
    async with reading(ctx.engine) as session:
        # Asked before the log is read: the end of a turn that ends in between is found there.
        is_running = (await session.execute(status)).scalar_one_or_none() == "running"
        rows = (await session.execute(_entries(turn_id, reached))).all()
    events = [TurnEvent(*row) for row in rows]
    return events if events or is_running else None
