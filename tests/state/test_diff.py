"""A diff is marked as a person would, is safe to show, and takes bounded work."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.state.diff import diff_html
from tests.counted_calls import calls_in


def test_what_came_and_what_went_is_marked():
    assert diff_html("Lives in London.", "Lives in Turin.") == (
        "Lives in <del>London.</del><ins>Turin.</ins>"
    )


def test_a_rewritten_phrase_stays_in_one_piece():
    assert diff_html("The persona block.", "I am calm.") == (
        "<del>The persona block.</del><ins>I am calm.</ins>"
    )


def test_markup_in_a_text_is_shown_and_does_nothing():
    assert diff_html("a", "a <b>") == "a<ins> &lt;b&gt;</ins>"


@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=40))
def test_both_texts_can_be_read_from_the_diff(old: str, new: str):
    html = diff_html(old, new)

    assert re.sub(r"<ins>.*?</ins>|</?del>", "", html, flags=re.DOTALL) == old
    assert re.sub(r"<del>.*?</del>|</?ins>", "", html, flags=re.DOTALL) == new


def test_words_are_marked_in_a_long_text_whose_edges_stayed():
    edge = "word other " * 50_000

    assert diff_html(f"{edge}London {edge}", f"{edge}Turin {edge}") == (
        f"{edge}<del>London</del><ins>Turin</ins> {edge}"
    )


def test_lines_are_marked_where_there_are_too_many_words():
    lines = [f"line {number} has many words in it\n" for number in range(1_500)]

    html = diff_html("begin\n" + "".join(lines), "".join(lines[:700] + lines[701:]) + "end\n")

    assert html.startswith("<del>begin\n</del>line 0")
    assert html.endswith("<ins>end\n</ins>")
    assert html.count("<del>") == 2


HOSTILE = {
    "two words by turns": ("a b " * 12_000, "b a a " * 9_000),
    "nothing in common": ("a " * 25_000, "b " * 25_000),
    "blanks in common": (
        " ".join(f"x{n}" for n in range(9_000)),
        " ".join(f"y{n}" for n in range(9_000)),
    ),
    "short lines": ("a\nb\n" * 12_000, "b\na\na\n" * 8_000),
}


@pytest.mark.parametrize(("old", "new"), HOSTILE.values(), ids=HOSTILE)
def test_the_work_of_a_diff_is_bounded(old: str, new: str):
    assert calls_in(lambda: diff_html(old, new)) < 200_000
