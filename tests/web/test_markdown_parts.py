"""Texts are split into parts: nothing is lost, and each split gets nearer to the end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_platform.web.markdown_parts import MAX_PART_CHARACTERS, cut_long, parts_of
from tests.web.hostile_markdown import HOSTILE, Maker

runs = st.tuples(
    st.sampled_from(["`", "```", "```py\n", "\n", "\n\n", "x", "- `a` "]),
    st.integers(1, 2 * MAX_PART_CHARACTERS),
)
long_texts = st.lists(runs, max_size=6).map(lambda some: "".join(text * n for text, n in some))


def cut_whole(text: str) -> list[str]:
    cut: list[str] = []
    while parts := cut_long(text):
        block, rest = parts
        assert len(rest) < len(text)
        cut.append(block)
        text = rest
    return [*cut, text]


@settings(max_examples=200)
@given(long_texts)
def test_each_cut_of_an_arriving_text_leaves_less(text: str):
    parts = cut_whole(text)

    assert max(map(len, parts)) <= MAX_PART_CHARACTERS
    assert len(parts) <= 1 + 2 * len(text) / MAX_PART_CHARACTERS * 1.02
    assert sum(map(len, parts)) >= len(text)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_cut_to_their_end(make: Maker):
    text = make(100_000)

    assert len(cut_whole(text)) <= 1 + 2 * len(text) / MAX_PART_CHARACTERS * 1.02


@settings(max_examples=200)
@given(long_texts)
def test_the_parts_of_a_text_are_the_text(text: str):
    assert "".join(parts_of(text)) == text
