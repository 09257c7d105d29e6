"""Reads what a form sent. Browsers may send anything under any name."""

from collections.abc import Mapping

MAX_CHARACTERS = 1000
MAX_TEXT_CHARACTERS = 50_000
"""More than any text may have: a longer one is still told that it is too long."""


def text_of(form: object, name: str, *, most: int = MAX_CHARACTERS) -> str:
    """Return the field's text, cut; empty where there is none, or something else than text."""
    value = form.get(name) if isinstance(form, Mapping) else None
    return value[:most] if isinstance(value, str) else ""
