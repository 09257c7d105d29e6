"""Names stay as people write them, and invisible characters alone are not a text."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.accounts.profiles import tidy_name
from chat_platform.errors import Invalid
from chat_platform.values.addresses import new_email, normalise_email
from chat_platform.values.texts import (
    NAME_PATTERN,
    SEEN_NAME_PATTERN,
    SEEN_TEXT_PATTERN,
    ensure_storable,
    is_blank,
    is_storable,
    made_storable,
)

NAMES = [
    "Ana 👨\u200d👩\u200d👧",
    "علی\u200cرضا",
    "ක්\u200dරිස්ටීන්",
    "Team 🇺🇦 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "Newer \U0001fae9 and \U0001f6d9",
    "Zoë ❤\ufe0f",
]
UNSEEN = ["", " ", "\u200b", "\u200d\u200c", "\ufeff", "\u2060\u00ad", "\u3164", "\u2800", "\ufe0f"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_as_it_is_written(name: str):
    assert tidy_name(name) == name


def test_a_name_is_one_line():
    assert tidy_name("  Ana\n\tMaria ") == "Ana Maria"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\u202e", "\u2066", "\ud800", "\uffff"])
def test_characters_that_nobody_types_are_refused(character: str):
    with pytest.raises(Invalid) as refused:
        tidy_name(f"Ana{character}x")

    assert refused.value.code == "invalid_name"


@pytest.mark.parametrize("text", UNSEEN)
def test_what_cannot_be_seen_is_no_text(text: str):
    assert is_blank(text)
    assert tidy_name(text) == ""


@pytest.mark.parametrize("text", ["a", "👍", "\u200da\u200d", "\U0001fae9", "."])
def test_what_can_be_seen_is_text(text: str):
    assert not is_blank(text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud83d", "\udfff!"])
def test_what_no_database_can_store_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        ensure_storable(text)

    assert refused.value.code == "message_invalid"


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\0\ud83d\udfff")))
def test_what_was_made_storable_is_storable_and_the_rest_unchanged(text: str):
    stored = made_storable(text)

    ensure_storable(stored)
    assert (stored == text) == is_storable(text)
    assert [s for s, c in zip(stored, text, strict=True) if is_storable(c) and s != c] == []


@pytest.mark.parametrize(
    "address", ["o’brien@example.com", "ａｌｉｃｅ@example.com", "a“b@example.com"]
)
def test_a_new_address_has_no_letters_that_mail_servers_refuse(address: str):
    with pytest.raises(Invalid):
        new_email(address)


@pytest.mark.parametrize("address", ["o'brien@example.com", "иван@пример.рф", "josé@example.com"])
def test_other_peoples_letters_are_welcome_in_an_address(address: str):
    assert new_email(address) == address


def test_an_account_with_an_odd_address_goes_on_signing_in():
    assert normalise_email("o’brien@example.com") == "o’brien@example.com"


def test_the_documented_patterns_know_what_unicode_calls_unseen():
    unseen = {c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Cc", "Cf")}

    assert [hex(ord(c)) for c in unseen if not is_blank(c)] == []
    assert [hex(ord(c)) for c in map(chr, range(0x110000)) if c.isspace() and not is_blank(c)] == []


@pytest.mark.parametrize("text", NAMES)
def test_the_document_allows_what_is_kept(text: str):
    assert all(re.search(p, text) for p in (NAME_PATTERN, SEEN_NAME_PATTERN, SEEN_TEXT_PATTERN))


@pytest.mark.parametrize("text", [text for text in UNSEEN if text.strip()])
def test_the_document_refuses_an_unseen_text(text: str):
    assert not re.search(SEEN_NAME_PATTERN, text)
    assert not re.search(SEEN_TEXT_PATTERN, text)
