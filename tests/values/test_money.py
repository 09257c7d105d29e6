"""Money is exact from the wire to the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.values.money import to_nano_usd, to_usd_text


@given(st.integers(min_value=0, max_value=10**15))
def test_a_stored_amount_survives_its_text(nano_usd: int):
    assert to_nano_usd(to_usd_text(nano_usd)) == nano_usd


@pytest.mark.parametrize(
    ("amount", "nano_usd"),
    [(5.48e-05, 54_800), ("0.0000000005", 0), ("0.0000000015", 2), (1, 1_000_000_000)],
)
def test_amounts_round_half_to_even(amount: float | str, nano_usd: int):
    assert to_nano_usd(amount) == nano_usd


@pytest.mark.parametrize("amount", ["nan", "inf", "free", float("nan")])
def test_what_is_no_amount_is_refused(amount: float | str):
    with pytest.raises(ValueError, match="not an amount"):
        to_nano_usd(amount)
