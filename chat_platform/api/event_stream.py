"""Server-sent events of a turn: numbered, with pings while it is quiet, and resumable."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import orjson
from fastapi.responses import StreamingResponse

from chat_platform.accounts.open_readers import Credential
from chat_platform.context import AppContext
from chat_platform.turns.events import TurnEvent

EVENT_STREAM = "text/event-stream"
PING_SECONDS = 10.0
_RETRY = b"retry: 2000\n\n"
_PING = b": ping\n\n"
# X-Accel-Buffering: nginx and others hold a stream back otherwise.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(
    ctx: AppContext, reader: Credential, events: AsyncGenerator[TurnEvent, None]
) -> StreamingResponse:
    """Respond with the events as they arrive.

    A process that shuts down ends the stream early: the client reconnects with its Last-Event-ID.
    So does a credential that is revoked; reconnecting with it is refused.
    """
    frames = _frames(ctx, reader, events)
    return StreamingResponse(frames, media_type=EVENT_STREAM, headers=_HEADERS)


async def until_over(
    events: AsyncGenerator[TurnEvent, None],
    *stops: asyncio.Event,
    quiet_seconds: float | None = None,
) -> AsyncIterator[TurnEvent | None]:
    """Yield the events, and None after each quiet interval, until one of the stops is set."""
    reasons = {asyncio.create_task(stop.wait()) for stop in stops}
    following = asyncio.ensure_future(_next(events))
    try:
        while not any(reason.done() for reason in reasons):
            await asyncio.wait(
                {following, *reasons},
                timeout=quiet_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not following.done():
                yield None
                continue
            event = following.result()
            if event is None:
                return
            following = asyncio.ensure_future(_next(events))
            yield event
    finally:
        waiting = (following, *reasons)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await events.aclose()


async def _next(events: AsyncGenerator[TurnEvent, None]) -> TurnEvent | None:
    return await anext(events, None)


async def _frames(
    ctx: AppContext, reader: Credential, events: AsyncGenerator[TurnEvent, None]
) -> AsyncIterator[bytes]:
    yield _RETRY
    with ctx.open_readers.reading(reader) as void:
        stops = (ctx.running_turns.draining, void)
        async for event in until_over(events, *stops, quiet_seconds=PING_SECONDS):
            yield _frame(event) if event else _PING


def _frame(event: TurnEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.number,
        event.type.encode(),
        orjson.dumps(event.data),
    )
