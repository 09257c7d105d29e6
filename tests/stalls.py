"""Measures how long the event loop is blocked."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

TOO_LONG_SECONDS = 0.25
"""For `busy_seconds`: inputs over 50 ms took seconds when they were found, and a shared processor
is several times slower. `make bench-hostile` enforces the 50 ms."""


@dataclass
class Stalls:
    busy_seconds: float = 0.0
    """The most that the loop's thread computed between two ticks; other processes do not count."""
    late_seconds: float = 0.0
    """The longest delay of a tick, by the clock."""


@asynccontextmanager
async def watched_loop(tick_seconds: float = 0.002) -> AsyncIterator[Stalls]:
    """Watch the loop while the block runs.

    Earlier objects are not garbage-collected meanwhile: after a long run of tests, a full
    collection takes half a second, in whichever test it happens.
    """
    stalls = Stalls()
    gc.collect()
    gc.freeze()
    ticking = asyncio.create_task(_tick(stalls, tick_seconds))
    await asyncio.sleep(0)
    try:
        yield stalls
        # What began last counts too.
        await asyncio.sleep(2 * tick_seconds)
    finally:
        ticking.cancel()
        gc.unfreeze()


async def _tick(stalls: Stalls, tick_seconds: float) -> None:
    while True:
        busy, clock = time.thread_time(), time.perf_counter()
        await asyncio.sleep(tick_seconds)
        late = time.perf_counter() - clock - tick_seconds
        stalls.busy_seconds = max(stalls.busy_seconds, time.thread_time() - busy)
        stalls.late_seconds = max(stalls.late_seconds, late)
