"""Text types for bodies and queries: limited in length, and storable in any database."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from chat_platform.accounts import api_tokens, profiles
from chat_platform.accounts.password_rule import (
    MAX_CHARACTERS,
    MAX_READ_CHARACTERS,
    MIN_CHARACTERS,
)
from chat_platform.turns.control import MAX_MESSAGE_CHARACTERS
from chat_platform.values.texts import (
    MAX_LINE_CHARACTERS,
    NAME_PATTERN,
    SEEN_NAME_PATTERN,
    SEEN_TEXT_PATTERN,
    STORABLE_PATTERN,
    is_storable,
)


def storable(value: str) -> str:
    """Return the text; raise ValueError, which names its field in the answer."""
    if not is_storable(value):
        raise ValueError("must not contain the character NUL, or half a character")
    return value


_documented = Field(json_schema_extra={"pattern": STORABLE_PATTERN})

Line = Annotated[
    str, StringConstraints(max_length=MAX_LINE_CHARACTERS), AfterValidator(storable), _documented
]
"""A short text: an address, a name, a password, a code."""
RowId = Annotated[str, StringConstraints(max_length=100), AfterValidator(storable), _documented]
"""An opaque id in a path."""

# The domain enforces these with codes of its own; they only document them.
Email = Annotated[
    str,
    StringConstraints(max_length=MAX_LINE_CHARACTERS),
    AfterValidator(storable),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
NewPassword = Annotated[
    str,
    StringConstraints(max_length=MAX_READ_CHARACTERS),
    AfterValidator(storable),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "minLength": MIN_CHARACTERS,
            "maxLength": MAX_CHARACTERS,
            "description": "Outside development, passwords that are easy to guess are refused too.",
        }
    ),
]
_name = (StringConstraints(max_length=MAX_LINE_CHARACTERS), AfterValidator(storable))
PersonName = Annotated[
    str,
    *_name,
    WithJsonSchema(
        {"type": "string", "maxLength": profiles.MAX_NAME_CHARACTERS, "pattern": NAME_PATTERN}
    ),
]
HistoryCursor = Annotated[
    RowId, WithJsonSchema({"type": "string", "maxLength": 100, "format": "message-id"})
]
TokenName = Annotated[
    str,
    *_name,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": api_tokens.MAX_NAME_CHARACTERS,
            "pattern": SEEN_NAME_PATTERN,
        }
    ),
]
MessageText = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": SEEN_TEXT_PATTERN,
            "description": f"1 to {MAX_MESSAGE_CHARACTERS:,} characters.",
        }
    ),
]
# Limits the parser's work; the memory's own limits are tighter and worded separately.
MemoryText = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(storable)]
PassageText = Annotated[
    MemoryText,
    StringConstraints(strip_whitespace=True),
    WithJsonSchema({"type": "string", "maxLength": 100_000, "pattern": SEEN_TEXT_PATTERN}),
]
