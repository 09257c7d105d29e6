"""The sign-in is found among whatever else browsers send from the same host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.values.cookies import (
    HOST_SIGN_IN_COOKIE,
    PLAIN_SIGN_IN_COOKIE,
    cookies_of,
    is_signed_in_by_old_name,
    sign_in_secret,
)

OWN = f"{PLAIN_SIGN_IN_COOKIE}=abc-_123"
BROKEN_PARTS = [
    *("", " ", "=", "==", "a", "a=", "=a", "a=b=c", "a b=c d", ","),
    *('"', 'a="', 'a="b\\', 'a="\\"', '{"json": 1}', "a={};", "$Version=1", "Path=/"),
    *("a\x00=b", "a=\x7f\t", "\xff\xfe=\xff", "ключ=знач", "a=\ud83d", "a=\\777\\073"),
]


@pytest.mark.parametrize("broken", BROKEN_PARTS)
def test_a_broken_cookie_hides_no_other_cookie(broken: str):
    # A quotation mark before the sign-in and one after it do not make it part of a value.
    header = f"{broken}; {OWN}; {broken}"

    assert sign_in_secret(header) == "abc-_123"


@given(st.lists(st.text(st.characters(exclude_characters=";")), max_size=5))
def test_no_other_cookies_hide_the_sign_in(others: list[str]):
    others = [other for other in others if "chat_sign_in" not in other]

    assert sign_in_secret(";".join([*others, OWN, *others])) == "abc-_123"


def test_the_first_of_a_name_wins():
    assert cookies_of("zone=UTC; zone=Asia/Tokyo") == {"zone": "UTC"}


def test_the_cookie_that_only_this_host_can_set_comes_before_the_plain_one():
    header = f"{OWN}; {HOST_SIGN_IN_COOKIE}=of-this-host"

    assert sign_in_secret(header) == "of-this-host"
    assert not is_signed_in_by_old_name(header)
    assert is_signed_in_by_old_name(OWN)


@pytest.mark.parametrize(
    "header", ["", PLAIN_SIGN_IN_COOKIE, f"x{OWN}", f"a={OWN}", f'a="{OWN}"', OWN.upper()]
)
def test_what_only_resembles_a_sign_in_is_none(header: str):
    assert sign_in_secret(header) == ""
