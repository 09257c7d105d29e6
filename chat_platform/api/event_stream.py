"""Server-sent events of a turn: numbered, pinged while it is quiet, and told to come back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import orjson
from fastapi.responses import StreamingResponse

from chat_platform.context import AppContext
from chat_platform.turn_events import TurnEvent

PING_SECONDS = 10.0
_RETRY = b"retry: 2000\n\n"
_PING = b": ping\n\n"
# X-Accel-Buffering: nginx and others hold a stream back otherwise.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(ctx: AppContext, events: AsyncGenerator[TurnEvent, None]) -> StreamingResponse:
    """Answer with the events as they come.

    A process that goes down ends the stream early: the client comes back with its Last-Event-ID.
    """
    return StreamingResponse(_frames(ctx, events), media_type="text/event-stream", headers=_HEADERS)


async def until_draining(
    ctx: AppContext, events: AsyncGenerator[TurnEvent, None], *, quiet_seconds: float | None = None
) -> AsyncIterator[TurnEvent | None]:
    """Yield the events, and None whenever it was quiet so long; stop when the process drains."""
    draining = asyncio.create_task(ctx.running_turns.draining.wait())
    following = asyncio.ensure_future(_next(events))
    try:
        while not draining.done():
            await asyncio.wait(
                {following, draining},
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
        draining.cancel()
        following.cancel()
        await asyncio.gather(draining, following, return_exceptions=True)
        await events.aclose()


async def _next(events: AsyncGenerator[TurnEvent, None]) -> TurnEvent | None:
    return await anext(events, None)


async def _frames(ctx: AppContext, events: AsyncGenerator[TurnEvent, None]) -> AsyncIterator[bytes]:
    yield _RETRY
    async for event in until_draining(ctx, events, quiet_seconds=PING_SECONDS):
        yield _frame(event) if event else _PING


def _frame(event: TurnEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.number,
        event.type.encode(),
        orjson.dumps(event.data),
    )
