"""The page is sent what it lacks, and nothing that it has."""

from hypothesis import given
from hypothesis import strategies as st

from chat_platform.state.pieces import (
    OVERLAP_ROWS,
    end_piece,
    following_piece,
    marks_of,
    newer_piece,
    older_piece,
)
from chat_platform.state.rows import Row, Rows


def row(number: int, text: str = "") -> Row:
    return Row(
        id=f"m{number}",
        role="user",
        html="",
        text=text or f"text {number}",
        time="",
        date="",
        day="",
        turn_id="",
        receipt="",
        problem="",
        is_stopped=False,
    )


def page(first: int, last: int, *, changed: int | None = None) -> Rows:
    rows = [row(n, "changed" if n == changed else "") for n in range(first, last + 1)]
    return Rows(rows, has_older=first > 1)


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]


def test_every_piece_has_a_stamp_of_its_own():
    assert end_piece(page(1, 3))["stamp"] != end_piece(page(1, 3))["stamp"]


def test_a_page_of_older_messages_says_what_it_joins():
    piece = older_piece(page(1, 40), "m41")

    assert piece["joins"] == "m41"
    assert ids(piece["rows"]) == [f"m{n}" for n in range(1, 41)]
    assert not piece["has_older"]


def test_what_follows_a_window_joins_its_last_message():
    following = following_piece(page(41, 80), "m40")
    end = following_piece(page(61, 100), "m80")

    assert (following["joins"], ids(following["rows"])) == ("m40", ids(page(41, 80).rows))
    assert (end["joins"], ids(end["rows"])) == ("m80", ids(page(81, 100).rows))
    assert following_piece(page(61, 100), "m100")["rows"] == []


def test_nothing_is_sent_when_nothing_is_new():
    assert newer_piece(page(1, 40), marks_of(page(1, 40))) is None
    assert newer_piece(Rows([], has_older=False), []) is None


def test_a_new_message_is_sent_with_few_before_it():
    piece = newer_piece(page(2, 41), marks_of(page(1, 40)))

    assert piece is not None
    assert ids(piece["rows"]) == ["m38", "m39", "m40", "m41"]
    assert piece["joins"] == "m37"


def test_a_message_that_changed_is_sent_again():
    piece = newer_piece(page(1, 40, changed=40), marks_of(page(1, 40)))

    assert piece is not None
    assert piece["rows"][-1]["text"] == "changed"
    assert len(piece["rows"]) == OVERLAP_ROWS


def test_messages_that_have_nothing_in_common_with_the_known_ones_are_a_new_end():
    piece = newer_piece(page(100, 139), marks_of(page(1, 40)))

    assert piece is not None
    assert piece["joins"] == ""
    assert piece["has_older"]
    assert len(piece["rows"]) == 40


def test_messages_that_went_away_leave_an_empty_end():
    piece = newer_piece(Rows([], has_older=False), marks_of(page(1, 2)))

    assert piece is not None
    assert piece["rows"] == []


@given(st.integers(1, 30), st.integers(0, 12), st.integers(0, 12))
def test_what_is_joined_is_always_the_whole_end(length: int, gone: int, came: int):
    before, after = page(1, length), page(1 + gone, length + came)
    shown = ids(before.rows)

    if piece := newer_piece(after, marks_of(before)):
        joint = shown.index(piece["joins"]) + 1 if piece["joins"] else 0
        shown = [*shown[:joint], *ids(piece["rows"])]

    assert shown[-len(after.rows) or len(shown) :] == ids(after.rows)
