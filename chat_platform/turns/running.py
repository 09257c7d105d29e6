"""The turns that this process is running: keeps their tasks alive, and stops or drains them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import structlog

from chat_platform.values.ids import TurnId

log = structlog.get_logger()


@dataclass
class RunningTurns:
    """Strong references to the turns' tasks, which outlive the requests that started them."""

    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process is shutting down: no new turns, and readers reconnect elsewhere."""
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the turns that have not ended by then are interrupted: nobody waits any longer."""
    _tasks: dict[TurnId, asyncio.Task[None]] = field(
        default_factory=dict[TurnId, asyncio.Task[None]]
    )
    _stops: dict[TurnId, asyncio.Event] = field(default_factory=dict[TurnId, asyncio.Event])

    def start(
        self, turn_id: TurnId, run: Callable[[asyncio.Event], Coroutine[None, None, None]]
    ) -> None:
        """Run the turn in its own task; `run` gets the event that tells it to stop."""
        stop = self._stops[turn_id] = asyncio.Event()
        task = self._tasks[turn_id] = asyncio.create_task(run(stop), name=f"turn {turn_id}")
        task.add_done_callback(lambda done: self._forget(turn_id, done))

    def stop(self, turn_id: TurnId) -> None:
        """Tell the turn to stop, if it is running here."""
        if turn_id in self._stops:
            self._stops[turn_id].set()

    @property
    def ids(self) -> list[TurnId]:
        return list(self._tasks)

    async def wait(self, timeout_seconds: float | None = None) -> None:
        """Return when those that are running have ended, or after the timeout."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_seconds)

    async def interrupt(self) -> None:
        """Cancel the remaining tasks and wait until they have cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, turn_id: TurnId, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            # Its lease is no longer renewed, so the turn will be found and ended anyway.
            log.error("turn.task_died", turn_id=turn_id, exc_info=error)
        del self._tasks[turn_id]
        del self._stops[turn_id]
