"""Kinds of text that bodies and queries hold: bounded, and free of what no database can store."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def without_nul(value: str) -> str:
    # Postgres text cannot hold it.
    if "\x00" in value:
        raise ValueError("must not contain the character NUL")
    return value


Line = Annotated[str, StringConstraints(max_length=1000), AfterValidator(without_nul)]
"""A short text: an address, a name, a password, a code."""
RowId = Annotated[str, StringConstraints(max_length=100), AfterValidator(without_nul)]
"""An opaque id in a path."""
