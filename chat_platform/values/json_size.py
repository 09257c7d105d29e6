"""Estimates the work of parsing a JSON text, before parsing it.

Parsing blocks the event loop. A long string costs next to nothing, but a text of brackets and
keys costs fifty times as much as its length suggests.
"""

from dataclasses import dataclass

MAX_PARTS = 150_000
"""More than the longest allowed text has characters; parsed in about 20 ms."""


MAX_MEMBERS = 500_000
"""For batches of embeddings, with a few hundred thousand numbers."""
_PARTS = b"[{:"


@dataclass
class BodySize:
    """The length of a body and its number of parts, while it arrives."""

    length: int = 0
    parts: int = 0

    def add(self, piece: bytes) -> None:
        self.length += len(piece)
        self.parts += _count_parts(piece)


def is_heavy(body: bytes) -> bool:
    """Tell whether the JSON has more lists, objects, keys and members than allowed.

    Look-alikes within strings count too.
    """
    if len(body) <= MAX_PARTS:
        return False
    return _count_parts(body) > MAX_PARTS or _count(body, b",") > MAX_MEMBERS


def _count_parts(body: bytes) -> int:
    return _count(body, _PARTS)


def _count(body: bytes, characters: bytes) -> int:
    return len(body) - len(body.translate(None, characters))
