"""What counts as a valid text or name, everywhere. Knows no accounts.

Unassigned code points may be letters and emoji newer than Python's tables: they are kept.
"""

import re

from chat_platform.errors import Invalid, sentence

TOO_MANY_CHARACTERS = sentence("Use at most {most} characters. This text has {given}.")
MAX_LINE_CHARACTERS = 1000
"""What doors read of a short text, such as an address or a name; its own limit is lower."""

# White space, controls, formats and variation selectors; and characters that are invisible although
# Unicode classifies them as letters, marks or symbols (U+034F, U+115F, U+2800, U+3164 and others).
_UNSEEN = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u1680\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u2800\u3000"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    # Beyond U+FFFF, JSON Schema's readers and Python have no escape in common.
    "\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_NONCHARACTERS = r"\ufdd0-\ufdef\ufffe\uffff"
_IN_NAMES = rf"[^\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069{_NONCHARACTERS}]"
# These patterns are used in JSON Schema too.
NAME_PATTERN = f"^{_IN_NAMES}*$"
"""No control characters and no direction marks: with them, a name could make the text around it
read as something else."""
SEEN_NAME_PATTERN = f"^{_IN_NAMES}*[^{_UNSEEN}{_NONCHARACTERS}]{_IN_NAMES}*$"
"""A name with something visible."""
STORABLE_PATTERN = r"^[^\x00]*$"
"""A text that every database can store."""
SEEN_TEXT_PATTERN = rf"^[^\x00]*[^{_UNSEEN}][^\x00]*$"
"""A text with something visible, which every database can store."""

_seen = re.compile(f"[^{_UNSEEN}]")
_name = re.compile(NAME_PATTERN)
# JSON Schema implementations do not support lone surrogates.
_half = re.compile(r"[\ud800-\udfff]")


def is_blank(text: str) -> bool:
    """Tell whether nothing in the text is visible."""
    return _seen.search(text) is None


def is_storable(text: str) -> bool:
    """Tell whether every database can store the text.

    Postgres cannot store NUL, and UTF-8 cannot encode a lone surrogate.
    """
    return "\0" not in text and _half.search(text) is None


def ensure_seen(text: str, *, field: str = "") -> None:
    """Raise Invalid `message_empty` for a text in which nothing is visible."""
    if is_blank(text):
        raise Invalid("Write something first.", code="message_empty", field=field)


def ensure_storable(text: str) -> None:
    """Raise Invalid `message_invalid` for a text that is not storable."""
    if not is_storable(text):
        raise Invalid(
            "This text contains characters that cannot be stored.", code="message_invalid"
        )


def made_storable(text: str) -> str:
    """Replace what cannot be stored, where nobody can correct it.

    Models also produce NUL, which becomes U+FFFD, and lone surrogates, which become `?`.
    """
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def tidy_line(text: str, *, field: str) -> str:
    """Return the text on one line, keeping its joiners.

    Returns "" if nothing is visible. Raises Invalid `invalid_<field>` for characters that nobody
    types.
    """
    line = " ".join(text.split())
    if _half.search(line) or not _name.fullmatch(line):
        raise Invalid(
            "Remove control characters and marks that change the direction of the text.",
            code=f"invalid_{field}",
            field=field,
        )
    return "" if is_blank(line) else line
