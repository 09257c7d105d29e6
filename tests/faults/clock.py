"""A clock that can be put forward, jumps when told to, and can be off in a single process.

The standard library's clock is replaced for the duration of a run; the product's timeouts are
unchanged.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from unittest import mock

_monotonic = time.monotonic
_time_ns = time.time_ns


@dataclass
class ClockError:
    """How far the time of day is off in a single process."""

    seconds: float = 0.0


clock_error: ContextVar[ClockError | None] = ContextVar("clock_error", default=None)
"""That of the process to which the task or thread belongs."""


class Clock:
    """`monotonic` and the time of day, as everything in this process reads them."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0
        self._followers: list[Callable[[float], None]] = []
        self.jump_seconds = 0.0
        """How far the time of day alone is off, as after a change by an operator or NTP."""

    def monotonic(self) -> float:
        return _monotonic() + self._ahead_seconds

    def time_ns(self) -> int:
        error = clock_error.get()
        own_seconds = error.seconds if error else 0.0
        return _time_ns() + int((self._ahead_seconds + self.jump_seconds + own_seconds) * 1e9)

    def put_forward(self, seconds: float) -> None:
        self._ahead_seconds += seconds
        for tell in self._followers:
            tell(self._ahead_seconds)

    def follow(self, tell: Callable[[float], None]) -> None:
        """Call `tell` with how many seconds the clock is ahead, now and whenever that changes."""
        self._followers.append(tell)
        tell(self._ahead_seconds)

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        with (
            mock.patch.object(time, "monotonic", self.monotonic),
            mock.patch.object(time, "time_ns", self.time_ns),
        ):
            yield
