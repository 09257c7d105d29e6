"""One spelling for an address, and never one spelling for two people's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.errors import Invalid
from chat_platform.values.addresses import normalise_email


@pytest.mark.parametrize(
    "spelt",
    [
        "Alice@Example.com",
        " alice@example.com ",
        "ALICE@EXAMPLE.COM",
        "alice@ｅｘａｍｐｌｅ.com",
    ],
)
def test_an_address_has_one_spelling(spelt: str):
    assert normalise_email(spelt) == "alice@example.com"


@pytest.mark.parametrize(
    ("spelt", "stored"),
    [
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("ИВАН@пример.рф", "иван@пример.рф"),
        ("name@xn--e1afmkfd.xn--p1ai", "name@пример.рф"),
    ],
)
def test_letters_that_look_the_same_are_the_same(spelt: str, stored: str):
    assert normalise_email(spelt) == stored


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("straße@example.com", "strasse@example.com"),
        ("mıke@example.com", "mike@example.com"),
        ("alice+chat@example.com", "alice@example.com"),
        ("a.lice@example.com", "alice@example.com"),
    ],
)
def test_two_peoples_addresses_stay_two(one: str, another: str):
    assert normalise_email(one) != normalise_email(another)


@given(st.emails())
def test_the_stored_spelling_stays_as_it_is(address: str):
    try:
        stored = normalise_email(address)
    except Invalid:
        return

    assert normalise_email(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice@",
        "@example.com",
        "a@b",
        "a b@example.com",
        "a@example.com\r\nBcc: b@c.org",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        normalise_email(text)

    assert refused.value.code == "invalid_email"
