"""Settlements that the database could not store yet, each with the task that retries it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

HURRIED_PAUSE_SECONDS = 0.1


class Unsettled:
    """The unsettled calls of one process. For use in its event loop only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    @property
    def total(self) -> int:
        return len(self._tasks)

    def keep(self, trying: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(trying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def pause(self, seconds: float) -> None:
        """Wait before the next try; only briefly once the server is stopping."""
        if self._hurry.is_set():
            await asyncio.sleep(HURRIED_PAUSE_SECONDS)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    async def flush(self, timeout_seconds: float) -> int:
        """Keep retrying all of them until the timeout; return how many could not be written."""
        self._hurry.set()
        tasks = set(self._tasks)
        if not tasks:
            return 0
        _, left = await asyncio.wait(tasks, timeout=timeout_seconds)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        return len(left)
