"""An event loop that puts the clock forward while nothing happens: 20 seconds take milliseconds."""

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import Any

from tests.faults.clock import Clock

IDLE_SECONDS = 0.002
"""Real time without events that threads and Postgres get before the clock is put forward."""
FIRST_STEP_SECONDS, LONGEST_STEP_SECONDS = 0.05, 1.0

Key = selectors.SelectorKey
IsFrozen = Callable[[Key], bool]
"""Whether the process that waits for this file is stopped: data stays there until it continues."""


class HurryingSelector(selectors.DefaultSelector):
    """Waits briefly for real events, then puts the clock forward instead of waiting.

    The steps grow while nothing happens, so that work in threads keeps up with timers.
    """

    def __init__(self, clock: Clock, is_frozen: IsFrozen) -> None:
        super().__init__()
        self._clock = clock
        self._is_frozen = is_frozen
        self._frozen: dict[int, Key] = {}
        """Files with data for a stopped process: if polled, they would always be ready."""
        self._step_seconds = FIRST_STEP_SECONDS

    def select(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        self._thaw()
        if timeout is None or timeout <= 0:
            return self._live(super().select(timeout))
        events = self._live(super().select(min(timeout, IDLE_SECONDS)))
        if events or timeout <= IDLE_SECONDS:
            self._step_seconds = FIRST_STEP_SECONDS
            return events
        self._clock.put_forward(min(timeout - IDLE_SECONDS, self._step_seconds))
        self._step_seconds = min(2 * self._step_seconds, LONGEST_STEP_SECONDS)
        return []

    def get_key(self, fileobj: Any) -> Key:
        return self._frozen.get(fileobj) or super().get_key(fileobj)

    def unregister(self, fileobj: Any) -> Key:
        return self._frozen.pop(fileobj, None) or super().unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> Key:
        key = self._frozen.get(fileobj)
        if key is None:
            return super().modify(fileobj, events, data)
        self._frozen[fileobj] = key._replace(events=events, data=data)
        self._thaw()
        return self.get_key(fileobj)

    def _live(self, events: list[tuple[Key, int]]) -> list[tuple[Key, int]]:
        for key, _ in events:
            if self._is_frozen(key):
                self._frozen[key.fd] = super().unregister(key.fileobj)
        return [(key, mask) for key, mask in events if key.fd not in self._frozen]

    def _thaw(self) -> None:
        for fd, key in list(self._frozen.items()):
            if not self._is_frozen(key):
                del self._frozen[fd]
                super().register(fd, key.events, key.data)


class _Loop(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do nothing once the run is over: threads of killed processes outlive it."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed():
                raise
            return asyncio.Handle(callback, args, self, context)


def new_loop(clock: Clock, is_frozen: IsFrozen) -> asyncio.AbstractEventLoop:
    return _Loop(HurryingSelector(clock, is_frozen))
