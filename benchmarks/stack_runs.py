"""A stack for one benchmark, and where its report goes."""

import os
import platform as machine
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from tests.open_folder import new_open_folder
from tests.stack.platform import StackPlatform

_RESULTS = Path(__file__).parent / "results"


@contextmanager
def running_stack(**settings: Any) -> Iterator[StackPlatform]:
    """A new stack, which stops when the benchmark does, also by SIGTERM."""
    signal.signal(signal.SIGTERM, _exit)
    with new_open_folder() as folder:
        stack = StackPlatform(folder / "data")
        try:
            stack.start(**settings)
            yield stack
        finally:
            stack.stop()


def publish(name: str, lines: Sequence[str], *, where: str = "") -> None:
    """Print the report, and keep it in benchmarks/results."""
    about = (
        f"Measured {datetime.now(UTC).isoformat(timespec='seconds')} on {machine.machine()},"
        f" {os.cpu_count()} cores{where}."
    )
    text = "\n".join([about, "", *lines]) + "\n"
    print(text)
    _RESULTS.mkdir(parents=True, exist_ok=True)
    (_RESULTS / f"{name}.md").write_text(text)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)
