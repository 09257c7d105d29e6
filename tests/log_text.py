"""What the server logs, as text and as its JSON lines."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.contextvars import clear_contextvars

from chat_platform.process.logs import set_up_logging
from chat_platform.settings import Settings


@contextmanager
def logging_into_text(settings: Settings) -> Iterator[io.StringIO]:
    """Log as the server does until the block ends."""
    root, ours = logging.getLogger(), logging.getLogger("chat_platform")
    old_structlog, old_levels = structlog.get_config(), (root.level, ours.level)
    old_handlers = root.handlers[:]
    set_up_logging(settings)
    clear_contextvars()
    text = io.StringIO()
    root.handlers[0].setStream(text)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield text
    finally:
        root.handlers[:] = old_handlers
        root.setLevel(old_levels[0])
        ours.setLevel(old_levels[1])
        structlog.configure(**old_structlog)
        clear_contextvars()


def lines_of(text: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


def events_in(text: io.StringIO, event: str) -> list[dict[str, Any]]:
    """Return the lines of this event; every line must be JSON."""
    return [line for line in lines_of(text) if line["event"] == event]
