"""The pieces in which the page gets its messages: nothing that it has is sent again.

messages.js puts them together. Knows no database.
"""

import hashlib
from typing import NamedTuple, TypedDict

from chat_platform.ids import new_id
from chat_platform.state.rows import Row, Rows

OVERLAP_ROWS = 4
"""Rows that newer pieces repeat: a browser that draws two pieces at once sees the last one only."""


class Piece(TypedDict):
    stamp: str
    """Another one for every piece: the page takes each once."""
    rows: list[Row]
    joins: str
    """The message before these rows, or after them where they are older; "" where none is."""
    has_older: bool
    is_window: bool
    """A part of the past, which joins nothing that was shown."""


class Mark(NamedTuple):
    """What is remembered of a row that the page has."""

    id: str
    digest: str


NOTHING = Piece(stamp="", rows=[], joins="", has_older=False, is_window=False)


def end_piece(page: Rows, *, is_window: bool = False) -> Piece:
    return _piece(page.rows, has_older=page.has_older, is_window=is_window)


def older_piece(page: Rows, before: str) -> Piece:
    return _piece(page.rows, joins=before, has_older=page.has_older)


def following_piece(page: Rows, after: str) -> Piece:
    """Return the rows of a page that come after one that a window of the past ends with."""
    ids = [row["id"] for row in page.rows]
    start = ids.index(after) + 1 if after in ids else 0
    return _piece(page.rows[start:], joins=after, has_older=page.has_older)


def newer_piece(page: Rows, known: list[Mark]) -> Piece | None:
    """Return what the page lacks of the newest rows, or None when it has them all.

    The piece joins nothing where the newest rows have nothing in common with the known ones:
    then it is a new end.
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
