from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.billing.reservations import (
    Counters,
    charged,
    closed,
    first_counters,
    opened,
    renewed,
    reservation,
)
from chat_platform.values.ids import AccountId

LIMIT = 1000
DAY = 86_400_000


def _counters(**changes: int) -> Counters:
    first = first_counters(AccountId("alice"), limit_nano_usd=LIMIT, period="1d", now_ms=0)
    return first._replace(**changes)


@dataclass
class _Call:
    held: int
    period_start_ms: int
    is_background: bool


def test_a_call_that_fits_holds_its_worst_case():
    assert reservation(_counters(), 400, background_cap_nano_usd=None) == 400


def test_the_last_call_holds_what_is_left_when_it_runs_alone():
    counters = _counters(spent_nano_usd=900)

    assert reservation(counters, 400, background_cap_nano_usd=None) == 100


def test_short_of_a_worst_case_another_call_waits():
    counters = _counters(spent_nano_usd=500, reserved_nano_usd=300)

    assert reservation(counters, 400, background_cap_nano_usd=None) == "busy"


def test_nothing_left_is_refused_even_while_others_hold_something():
    counters = _counters(spent_nano_usd=1000, reserved_nano_usd=300)

    assert reservation(counters, 1, background_cap_nano_usd=None) == "budget_spent"


@pytest.mark.parametrize(
    ("spent", "reserved", "expected"), [(0, 0, 100), (150, 0, 50), (150, 50, "busy")]
)
def test_the_background_has_a_purse_of_its_own(spent: int, reserved: int, expected: int | str):
    counters = _counters(background_spent_nano_usd=spent, background_reserved_nano_usd=reserved)

    assert reservation(counters, 100, background_cap_nano_usd=200) == expected


def test_a_spent_background_share_is_told_apart():
    counters = _counters(background_spent_nano_usd=200)

    assert reservation(counters, 1, background_cap_nano_usd=200) == "background_spent"


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "open background", "close", "wait"]),
        st.integers(0, 600),
        st.integers(0, 100),
    ),
    max_size=60,
)


@given(_STEPS)
def test_counters_are_the_sum_of_the_calls_and_never_overshoot(
    steps: list[tuple[str, int, int]],
):
    """Here costs never exceed what was held, as a worst case promises."""
    counters, now_ms = _counters(), 0
    calls: list[_Call] = []
    spent: dict[tuple[int, bool], int] = {}
    for step, worst_case, percent in steps:
        if step == "wait":
            now_ms += worst_case * DAY // 300
        elif step == "close" and calls:
            call = calls.pop(0)
            cost = call.held * percent // 100
            where = {"period_start_ms": call.period_start_ms, "is_background": call.is_background}
            counters = charged(closed(counters, call.held, **where), cost, **where)
            key = (call.period_start_ms, call.is_background)
            spent[key] = spent.get(key, 0) + cost
        elif step.startswith("open"):
            counters = renewed(counters, now_ms)
            is_background = step.endswith("background")
            cap = 200 if is_background else None
            held = reservation(counters, worst_case, background_cap_nano_usd=cap)
            if isinstance(held, int):
                counters = opened(counters, held, is_background=is_background)
                calls.append(_Call(held, counters.period_start_ms, is_background))

        start = counters.period_start_ms
        ours = [call for call in calls if call.period_start_ms == start]
        background = spent.get((start, True), 0)
        assert counters.open_calls == len(calls)
        assert counters.reserved_nano_usd == sum(call.held for call in ours)
        assert counters.background_reserved_nano_usd == sum(
            call.held for call in ours if call.is_background
        )
        assert counters.spent_nano_usd == background + spent.get((start, False), 0)
        assert counters.background_spent_nano_usd == background
        assert counters.spent_nano_usd + counters.reserved_nano_usd <= LIMIT
        assert background + counters.background_reserved_nano_usd <= 200
