"""Kinds of text that bodies and queries hold: bounded, and free of what no database can store."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema


def without_nul(value: str) -> str:
    # Postgres text cannot hold it.
    if "\x00" in value:
        raise ValueError("must not contain the character NUL")
    return value


_WITHOUT_NUL = r"^[^\x00]*$"
_documented = Field(json_schema_extra={"pattern": _WITHOUT_NUL})

Line = Annotated[str, StringConstraints(max_length=1000), AfterValidator(without_nul), _documented]
"""A short text: an address, a name, a password, a code."""
RowId = Annotated[str, StringConstraints(max_length=100), AfterValidator(without_nul), _documented]
"""An opaque id in a path."""

# The domain refuses what is not so, with codes of its own; the document tells it beforehand.
Email = Annotated[Line, WithJsonSchema({"type": "string", "format": "email", "maxLength": 254})]
NewPassword = Annotated[
    Line,
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "minLength": 8,
            "maxLength": 72,
            "description": "At most 72 bytes.",
        }
    ),
]
PersonName = Annotated[
    Line, WithJsonSchema({"type": "string", "maxLength": 200, "pattern": _WITHOUT_NUL})
]
