"""Reads form data. Browsers can send anything under any name."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from chat_platform.errors import TooLarge
from chat_platform.values.money import to_nano_usd
from chat_platform.values.texts import MAX_LINE_CHARACTERS, TOO_MANY_CHARACTERS, ensure_storable

MAX_TEXT_CHARACTERS = 50_000
"""More than any text may have, so that a longer one still gets the message that it is too long."""


def text_of(form: object, name: str, *, most: int = MAX_LINE_CHARACTERS) -> str:
    """Return the field's text unchanged; empty if there is none, or if it is not text.

    Raises Invalid `message_invalid` for text that no database can store, TooLarge beyond `most`.
    """
    value = form.get(name) if isinstance(form, Mapping) else None
    if not isinstance(value, str):
        return ""
    ensure_storable(value)
    if len(value) > most:
        raise TooLarge(TOO_MANY_CHARACTERS, values={"most": most, "given": len(value)})
    return value


def amount_of(form: object, name: str) -> int:
    """Return the field's dollar amount in nano-dollars.

    Raises ValueError, also for fractions of a nano-dollar, which rounding could turn into zero.
    """
    text = text_of(form, name)
    amount = to_nano_usd(text)
    if Decimal(text).scaleb(9) != amount:
        raise ValueError("finer than money is")
    return amount


def choice_of(form: object, name: str, choices: Sequence[int]) -> int | None:
    """Return the number that was chosen, None if it is not one of the choices."""
    chosen = text_of(form, name)
    return next((choice for choice in choices if str(choice) == chosen), None)
