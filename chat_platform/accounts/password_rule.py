"""What a new password must be like, and its normalised spelling. Knows no account and no hash."""

import unicodedata
from functools import partial

from anyio import to_thread
from zxcvbn import zxcvbn

from chat_platform.errors import Invalid
from chat_platform.settings import Settings

MIN_CHARACTERS = 8
MAX_CHARACTERS = 1000
MAX_READ_CHARACTERS = 100_000
"""Doors read longer ones than allowed, so that the answer can say so."""
_OUR_NAMES = ("chat", "platform", "agent", "letta")
"""Words that everyone sees when signing up here."""
_SAFE_SCORE = 3
"""Of zxcvbn's 0 to 4: fewer than 10^8 guesses find a password of a lower score."""
_RATED_CHARACTERS = 72
"""The library's work grows faster than its input; more characters do not change the result."""


async def ensure_strong(settings: Settings, password: str, *, about: tuple[str, ...] = ()) -> None:
    """Raise Invalid `weak_password`: too short, too long, or, outside development, guessable.

    `about` is what others know about the person: their address and name.
    """
    if len(password) < MIN_CHARACTERS:
        raise weak_password()
    if len(password) > MAX_CHARACTERS:
        raise Invalid(
            "Choose a password of at most {most} characters.",
            values={"most": MAX_CHARACTERS},
            code="weak_password",
            field="password",
        )
    if settings.environment != "development" and await _is_guessable(password, about):
        raise weak_password()


def weak_password() -> Invalid:
    """Return the error for a password that is too short or easy to guess."""
    return Invalid(
        "Choose a password of at least {fewest} characters that is hard to guess: three or four "
        "unrelated words, for example.",
        values={"fewest": MIN_CHARACTERS},
        code="weak_password",
        field="password",
    )


def spelt_alike(password: str) -> str:
    """Return the password in normalised form, the same for all that look the same (RFC 8265)."""
    spaces = (" " if unicodedata.category(c) == "Zs" else c for c in password)
    return unicodedata.normalize("NFC", "".join(spaces))


async def _is_guessable(password: str, about: tuple[str, ...]) -> bool:
    known = [*_OUR_NAMES, *(part for text in about for part in _parts(text))]
    rate = partial(zxcvbn, password[:_RATED_CHARACTERS], user_inputs=known)
    return (await to_thread.run_sync(rate))["score"] < _SAFE_SCORE


def _parts(text: str) -> list[str]:
    """Return the text and its words: `ada@example.com` also gives `ada`."""
    short = text[:_RATED_CHARACTERS]
    letters = "".join(c if c.isalnum() else " " for c in short)
    return [short, *letters.split()]
