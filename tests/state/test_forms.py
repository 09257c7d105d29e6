"""A form field is text or empty, whatever a browser sends."""

from typing import Any

import pytest

from chat_platform.errors import Invalid, TooLarge
from chat_platform.state.forms import text_of


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"name": "Ada"}, "Ada"),
        ({"name": "x" * 1000}, "x" * 1000),
        ({"name": None}, ""),
        ({"name": 5}, ""),
        ({"name": {"a": 1}}, ""),
        ({}, ""),
        (None, ""),
        ("name", ""),
        (["name"], ""),
        ({"name": "a\nb 👩‍🚀"}, "a\nb 👩‍🚀"),
    ],
)
def test_what_is_no_text_is_an_empty_field(form: Any, text: str):
    assert text_of(form, "name") == text


def test_a_longer_text_is_refused_and_never_cut():
    with pytest.raises(TooLarge):
        text_of({"name": "x" * 1001}, "name")


@pytest.mark.parametrize("text", ["a\0b", "\ud83d", "\udfff!"])
def test_text_that_no_database_can_store_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        text_of({"name": text}, "name")

    assert refused.value.code == "message_invalid"
