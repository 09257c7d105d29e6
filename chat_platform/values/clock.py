"""What time it is. Storage counts UTC milliseconds; edges show aware datetimes."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def to_datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_rfc3339(ms: int) -> str:
    """Return the contract's time text, in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    return to_datetime(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
