"""A diff reads as a person would mark it, and is safe to show."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chat_platform.state.diff import diff_html


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
