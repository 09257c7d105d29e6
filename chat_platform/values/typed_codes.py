"""Codes that people type or paste: letters and digits that are hard to confuse."""

import secrets

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0, 1, I or O. Each of the 32 characters is 5 bits."""


def new_typed_code(characters: int) -> str:
    """Return a random code in groups of four, such as `K7QM-22XR-9FAT`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(characters))
    return "-".join(letters[i : i + 4] for i in range(0, characters, 4))


def letters_of(code: str) -> str:
    """Return the code in normalised form, however it was typed."""
    return "".join(c for c in code.upper() if c.isalnum())
