from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.values.periods import end_of, is_period, window_at


def _ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def test_days_count_from_the_first_call():
    now = _ms(2026, 3, 5, 12)

    assert window_at("30d", now_ms=now) == (now, _ms(2026, 4, 4, 12))


def test_months_are_the_calendars():
    assert window_at("1mo", now_ms=_ms(2026, 2, 14)) == (_ms(2026, 2, 1), _ms(2026, 3, 1))


def test_a_month_that_ends_the_year_is_followed_by_january():
    assert end_of("1mo", _ms(2026, 12, 1)) == _ms(2027, 1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "d", "0d", "30", "1y", "-1d", "1 mo", "1w", "30s", "1m", "30d\n", "3٠d", "30D", "12345d"],
)
def test_other_texts_are_no_periods(text: str):
    assert not is_period(text)


@given(
    period=st.sampled_from(["1h", "12h", "1d", "30d", "1mo", "3mo"]),
    anchor=st.integers(0, _ms(2030, 1, 1)),
    later=st.integers(0, 10 * 365 * 86_400_000),
)
def test_windows_hold_their_time_and_follow_one_another_without_gaps(
    period: str, anchor: int, later: int
):
    first_start, _ = window_at(period, now_ms=anchor)

    start, end = window_at(period, now_ms=anchor + later, anchor_ms=first_start)

    assert start <= anchor + later < end
    assert window_at(period, now_ms=end, anchor_ms=first_start)[0] == end
    assert window_at(period, now_ms=end - 1, anchor_ms=first_start) == (start, end)
    assert end_of(period, start) == end
