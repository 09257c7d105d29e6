"""Measures work without a clock."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls_in(act: Callable[[], object]) -> int:
    """Count the calls of Python's and C's functions: the same on every machine."""
    count = 0

    def seen(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count
