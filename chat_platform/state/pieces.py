"""The pieces in which the page receives its messages: nothing is sent twice.

messages.js puts them together. Knows no database.
"""

import hashlib
from typing import NamedTuple, TypedDict

from chat_platform.state.rows import Row, Rows
from chat_platform.values.ids import new_id

OVERLAP_ROWS = 4
"""Rows repeated in newer pieces: a browser that renders two pieces at once sees only the last."""


class Piece(TypedDict):
    stamp: str
    """A new number for every piece: the page applies each once."""
    rows: list[Row]
    joins: str
    """The message before these rows, or after them if they are older; "" if there is none."""
    has_older: bool
    is_window: bool
    """A section of older messages, not adjacent to what was shown."""


class Mark(NamedTuple):
    """What is remembered about a row that the page has."""

    id: str
    digest: str


NOTHING = Piece(stamp="", rows=[], joins="", has_older=False, is_window=False)


def end_piece(page: Rows, *, is_window: bool = False) -> Piece:
    return _piece(page.rows, has_older=page.has_older, is_window=is_window)


def older_piece(page: Rows, before: str) -> Piece:
    return _piece(page.rows, joins=before, has_older=page.has_older)


def following_piece(page: Rows, after: str) -> Piece:
    """Return the rows of a page after the last one of a section of older messages."""
    ids = [row["id"] for row in page.rows]
    start = ids.index(after) + 1 if after in ids else 0
    return _piece(page.rows[start:], joins=after, has_older=page.has_older)


def newer_piece(page: Rows, known: list[Mark]) -> Piece | None:
    """Return what the page lacks of the newest rows, or None when it has them all.

    If the newest rows have nothing in common with the known ones, the piece stands alone, as a new
    end.
    """
    marks = marks_of(page)
    places = {mark.id: place for place, mark in enumerate(known)}
    place = places.get(marks[0].id) if marks else None
    if place is None:
        return end_piece(page) if marks or known else None
    same = _same_rows(marks, known[place:])
    if same == len(marks) == len(known) - place:
        return None
    start = min(same, len(marks) - OVERLAP_ROWS)
    if start <= 0:
        return end_piece(page)
    return _piece(page.rows[start:], joins=marks[start - 1].id, has_older=page.has_older)


def marks_of(page: Rows) -> list[Mark]:
    return [Mark(row["id"], _digest(row)) for row in page.rows]


def _same_rows(marks: list[Mark], known: list[Mark]) -> int:
    same = 0
    for mark, before in zip(marks, known, strict=False):
        if mark != before:
            break
        same += 1
    return same


def _digest(row: Row) -> str:
    return hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest()


def _piece(rows: list[Row], *, joins: str = "", has_older: bool, is_window: bool = False) -> Piece:
    return Piece(stamp=new_id(), rows=rows, joins=joins, has_older=has_older, is_window=is_window)
