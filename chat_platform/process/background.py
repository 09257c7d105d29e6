"""Runs recurring tasks while the server runs. Knows nothing of what they do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Routine:
    """A task to run at the start and then regularly; a failure is logged and retried."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


@asynccontextmanager
async def running(*routines: Routine) -> AsyncIterator[None]:
    """Run the routines until the block ends; each waits only for its own previous run."""
    tasks = [asyncio.create_task(_repeat(routine), name=routine.name) for routine in routines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(routine: Routine) -> None:
    while True:
        try:
            await routine.run()
        except Exception:
            log.exception("routine.failed", name=routine.name)
        await asyncio.sleep(routine.every_seconds)
