"""Reads what a form sent. Browsers may send anything under any name."""

from collections.abc import Mapping

from chat_platform.errors import Invalid

MAX_CHARACTERS = 1000
MAX_TEXT_CHARACTERS = 50_000
"""More than any text may have: a longer one is still told that it is too long."""


def text_of(form: object, name: str, *, most: int = MAX_CHARACTERS) -> str:
    """Return the field's text, cut; empty where there is none, or something else than text.

    Raises Invalid `message_invalid` for text that no database can store.
    """
    value = form.get(name) if isinstance(form, Mapping) else None
    if not isinstance(value, str):
        return ""
    if not is_storable(value):
        raise Invalid("This text has characters that cannot be stored.", code="message_invalid")
    return value[:most]


def is_storable(text: str) -> bool:
    """Postgres stores no NUL; half a surrogate pair is no text in UTF-8."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
