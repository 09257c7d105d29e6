"""What a token may be called, what it may do and for how long; each door tries the same."""

import pytest

from chat_platform.accounts.api_tokens import SCOPES, terms_of
from chat_platform.errors import Invalid

REFUSED_NAMES = ["", " ", "\t\n", "\u200b\u3164", "x" * 101, "a\u202eb", "a\x1bb"]
KEPT_NAMES = [
    ("x" * 100, "x" * 100),
    ("  Backup\n of\tBerlin ", "Backup of Berlin"),
    (" " * 99 + "копия", "копия"),
    ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
]
"""What is sent, and what is stored."""
REFUSED_DAYS = [0, -1, 3651, 10**9]


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_a_token_needs_a_name(name: str):
    with pytest.raises(Invalid) as refused:
        terms_of(name, ["chat"])

    assert refused.value.code == "invalid_name"
    assert [error.field for error in refused.value.fields] == ["name"]


@pytest.mark.parametrize(("given", "kept"), KEPT_NAMES)
def test_a_tokens_name_is_kept_on_one_line(given: str, kept: str):
    assert terms_of(given, ["chat"]).name == kept


def test_a_token_may_have_every_scope_and_none_counts_twice():
    assert terms_of("all", [*SCOPES, *SCOPES]).scopes == frozenset(SCOPES)


def test_a_token_needs_a_scope():
    with pytest.raises(Invalid) as refused:
        terms_of("none", [])

    assert refused.value.code == "invalid_scopes"


@pytest.mark.parametrize("days", REFUSED_DAYS)
def test_a_token_lives_no_shorter_than_a_day_and_no_longer_than_ten_years(days: int):
    with pytest.raises(Invalid) as refused:
        terms_of("old", ["chat"], expires_in_days=days)

    assert [error.field for error in refused.value.fields] == ["expires_in_days"]


@pytest.mark.parametrize("days", [1, 3650, None])
def test_a_token_lives_as_long_as_was_asked_for_or_for_ever(days: int | None):
    assert terms_of("old", ["chat"], expires_in_days=days).expires_in_days == days


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(Invalid) as refused:
        terms_of(" ", [], expires_in_days=0)

    fields = [error.field for error in refused.value.fields]
    assert fields == ["name", "scopes", "expires_in_days"]
