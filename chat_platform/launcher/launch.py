"""One run of a launcher: start the parts, keep them running until told to stop, stop them all."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import stop_leftovers
from chat_platform.launcher.status import State, remove_status, write_status
from chat_platform.launcher.steps import Steps
from chat_platform.launcher.supervisor import Supervisor


class Launch:
    """From the first step until the last process has ended. `url` is where people go, if there."""

    def __init__(self, places: Places, *, url: str) -> None:
        self.steps = Steps()
        self.supervisor = Supervisor(places.records, on_change=self._write_status)
        self._places = places
        self._url = url
        self._state: State = "starting"

    async def run(self, start: Callable[[], Awaitable[str]]) -> None:
        """Wait for Ctrl-C or SIGTERM after `start`, whose result is then said. Raises LaunchFailed.

        `start` uses our supervisor, so that whatever it started is stopped.
        """
        is_told_to_stop = _stop_event()
        # The file of a killed launcher may still say `ready`.
        self._set_state("starting")
        starting = asyncio.create_task(self._start(start))
        stopping = asyncio.create_task(is_told_to_stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await stopping
        finally:
            stopping.cancel()
            await self._stop(starting)

    async def _start(self, start: Callable[[], Awaitable[str]]) -> None:
        await asyncio.to_thread(self._stop_leftovers)
        with launch_failed_alone():
            greeting = await start()
        self._set_state("ready")
        self.steps.say(greeting)

    async def _stop(self, starting: asyncio.Task[None]) -> None:
        self._set_state("stopping")
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        with self.steps.step("Stop everything"):
            await self.supervisor.stop()
        remove_status(self._places)

    def _stop_leftovers(self) -> None:
        names = stop_leftovers(self._places.records)
        if names:
            self.steps.say(f"  ok  Stopped what an earlier start left behind: {', '.join(names)}")

    def _set_state(self, state: State) -> None:
        self._state = state
        self._write_status()

    def _write_status(self) -> None:
        write_status(self._places, self.supervisor, state=self._state, url=self._url)


@contextmanager
def launch_failed_alone() -> Iterator[None]:
    """Raise the first meaningful failure of a group of tasks by itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        failed = group.subgroup((LaunchFailed, OSError))
        while isinstance(failed, BaseExceptionGroup):
            failed = failed.exceptions[0]
        if failed is None:
            raise
        raise failed from None


def _stop_event() -> asyncio.Event:
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, event.set)
    return event
