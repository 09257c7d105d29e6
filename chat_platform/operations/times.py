"""The times that figures are counted from. Days and months are those of UTC, like the caps."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from chat_platform.values.clock import to_datetime

WEEK_DAYS = 7
_DAY_MS = int(timedelta(days=1).total_seconds() * 1000)
_SLACK_MS = 60_000
"""An id is made a moment before its row's time is set."""


@dataclass(frozen=True)
class Times:
    """When today, this month and the last seven days began."""

    now_ms: int
    day_ms: int
    week_ms: int
    month_ms: int


def times_at(now_ms: int) -> Times:
    midnight = to_datetime(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
    day_ms = int(midnight.timestamp() * 1000)
    month_ms = int(midnight.replace(day=1).timestamp() * 1000)
    return Times(now_ms, day_ms, now_ms - WEEK_DAYS * _DAY_MS, month_ms)


def first_id(ms: int) -> str:
    """Return an id below all those of rows since then: the primary key finds them quickly."""
    return str(UUID(int=max(0, ms - _SLACK_MS) << 80))
