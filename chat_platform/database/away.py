"""Distinguishes temporary database failures from permanent ones, and waits them out.

Callers must make their writes idempotent: when a connection breaks during a commit, nobody knows
whether it was committed.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from chat_platform.errors import Unavailable

T = TypeVar("T")

PATIENCE_SECONDS = 15.0
"""Less than a turn's lease: after that another process may have taken over what we write."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0

AWAY = (
    OperationalError,
    InterfaceError,
    NoFreeConnection,
    psycopg.OperationalError,
    sqlite3.OperationalError,
)
"""What the drivers raise when a connection is lost or refused, or the database is locked."""

log = structlog.get_logger()


def unavailable() -> Unavailable:
    """Return the error to show while the database is not responding."""
    return Unavailable(
        "The server cannot reach its database right now. Try again in a few seconds.",
        code="database_unavailable",
        retry_after_seconds=5,
    )


async def patiently(
    write: Callable[[], Awaitable[T]], *, seconds: float | None = PATIENCE_SECONDS
) -> T:
    """Retry until it succeeds; after `seconds` of failures raise the last one."""
    give_up_at = time.monotonic() + seconds if seconds is not None else float("inf")
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await write()
        except AWAY as error:
            if time.monotonic() + pause > give_up_at:
                raise
            log.warning("database.away", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
