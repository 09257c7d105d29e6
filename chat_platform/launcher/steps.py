"""Shows progress in the terminal: one line per step, with its duration."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Steps:
    """Prints steps as they begin and end. Several can run at once."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    @contextmanager
    def step(self, name: str, *, hint: str = "") -> Iterator[None]:
        self.say(f"  ..  {name}{f' ({hint})' if hint else ''}")
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f"  --  {name}: not done ({_seconds_since(started)})")
            raise
        self.say(f"  ok  {name} ({_seconds_since(started)})")

    def say(self, line: str) -> None:
        # The terminal may be gone: that must not prevent anything from being stopped.
        with suppress(OSError):
            print(line, file=self._out, flush=True)


def _seconds_since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"
