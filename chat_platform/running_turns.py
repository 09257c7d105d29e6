"""The turns that this process runs: keeps their tasks alive and passes stop and drain on."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from chat_platform.ids import TurnId


@dataclass
class RunningTurns:
    """Strong references to the turns' tasks, which outlive the requests that started them."""

    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process is going down: no new turn, and readers go elsewhere."""
    _tasks: dict[TurnId, asyncio.Task[None]] = field(default_factory=dict)
    _stops: dict[TurnId, asyncio.Event] = field(default_factory=dict)

    def start(
        self, turn_id: TurnId, run: Callable[[asyncio.Event], Coroutine[None, None, None]]
    ) -> None:
        """Run the turn in a task of its own; `run` gets the event that tells it to stop."""
        stop = self._stops[turn_id] = asyncio.Event()
        task = self._tasks[turn_id] = asyncio.create_task(run(stop), name=f"turn {turn_id}")
        task.add_done_callback(lambda _: self._forget(turn_id))

    def stop(self, turn_id: TurnId) -> None:
        """Tell the turn to stop, if it runs here."""
        if turn_id in self._stops:
            self._stops[turn_id].set()

    @property
    def ids(self) -> list[TurnId]:
        return list(self._tasks)

    async def wait(self, timeout_seconds: float) -> None:
        """Return when no turn runs any more, or when the time is over."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_seconds)

    async def interrupt(self) -> None:
        """Cancel the tasks that are left and wait until they have cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, turn_id: TurnId) -> None:
        del self._tasks[turn_id]
        del self._stops[turn_id]
