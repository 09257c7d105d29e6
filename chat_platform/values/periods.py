"""Budget periods: `30d`, `12h`, `1mo`. Pure dates, no money and no database."""

import re
from datetime import UTC, datetime

from chat_platform.values.clock import to_datetime

_PERIOD = re.compile(r"([1-9][0-9]{0,3})(d|h|mo)")
_UNIT_MS = {"h": 3_600_000, "d": 86_400_000}


def is_period(text: str) -> bool:
    return _PERIOD.fullmatch(text) is not None


def parts_of(period: str) -> tuple[int, str]:
    """Return number and unit (`d`, `h` or `mo`). Raises ValueError if it is not a period."""
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise ValueError(f"not a period: {period!r}")
    return int(match[1]), match[2]


def window_at(period: str, *, now_ms: int, anchor_ms: int | None = None) -> tuple[int, int]:
    """Return start and end of the window that holds `now_ms`.

    Days and hours count from `anchor_ms` (the start of an earlier window, or now for the first),
    so that windows follow one another without gaps. Months are calendar months in UTC.
    """
    count, unit = parts_of(period)
    if unit == "mo":
        first = _month(anchor_ms if anchor_ms is not None else now_ms)
        start = first + (_month(now_ms) - first) // count * count
        return _month_start_ms(start), _month_start_ms(start + count)
    start = anchor_ms if anchor_ms is not None else now_ms
    length = count * _UNIT_MS[unit]
    start += (now_ms - start) // length * length
    return start, start + length


def end_of(period: str, start_ms: int) -> int:
    """Return when a window of this period that began at `start_ms` ends."""
    return window_at(period, now_ms=start_ms, anchor_ms=start_ms)[1]


def _month(ms: int) -> int:
    """Return the month as a count since year 0."""
    day = to_datetime(ms)
    return day.year * 12 + day.month - 1


def _month_start_ms(month: int) -> int:
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000
