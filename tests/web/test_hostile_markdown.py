"""No text takes more work than its length allows, and none of it is lost."""

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_platform.web.markdown_html import html_parts, to_html
from chat_platform.web.markdown_parts import MAX_PART_CHARACTERS, cut_long, parts_of, split_frozen
from chat_platform.web.rendering import Rendered, html_of
from tests.counted_calls import calls_in
from tests.web.hostile_markdown import HOSTILE, Maker

SHORT = 1_000
GROWTH = 4
ORDINARY = """# A trip

Some **bold** text, `code` and [a link](https://a.example), https://b.example/x?y=z.

| day | place |
|-----|-------|
| 1   | Rome  |

- one
  - two
    > said *somebody*

"""


def words_of(shown: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", shown))


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_with_the_length_and_no_faster(make: Maker):
    to_html(make(SHORT))

    little = calls_in(lambda: to_html(make(SHORT)))
    much = calls_in(lambda: to_html(make(GROWTH * SHORT)))

    assert much < 1.6 * GROWTH * little + 20_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["joined addresses", "open brackets", "lazy quotes"])
def test_the_longest_hostile_text_takes_a_bounded_number_of_calls(name: str):
    assert calls_in(lambda: to_html(HOSTILE[name](400_000))) < 8_000_000


def test_what_is_too_complex_is_shown_as_it_was_written():
    text = "Look: " + "[<b>" * 20_000

    shown = to_html(text)

    assert "too complex" in shown
    assert text in words_of(shown)


def test_the_reason_is_told_in_the_persons_language():
    assert "слишком сложная" in to_html("[" * 20_000, "ru")


def test_what_is_nested_deep_is_not_lost():
    assert "the deepest" in to_html(">" * 300 + " the deepest")


def test_the_ordinary_beginning_of_a_text_is_shown_with_its_format():
    shown = to_html(ORDINARY * 100 + "[" * 20_000)

    assert shown.count("<h1>") > 50
    assert shown.count("[") == 20_000


def test_long_ordinary_answers_are_shown_with_their_format():
    shown = to_html(ORDINARY * 500)

    assert shown.count("<h1>") == 500
    assert "as-written" not in shown


def test_a_long_list_of_short_items_is_shown_as_a_list():
    assert to_html("- a\n" * 5_000).count("<li>") == 5_000


def test_a_long_table_is_shown_as_a_table():
    rows = "| a | b | c |\n|---|---|---|\n" + "| 1 | 2 | 3 |\n" * 2_000

    assert to_html(rows).count("<tr>") == 2_001


def test_long_code_keeps_its_colours_and_every_character():
    code = 'def f(x):\n    return "a" + x\n\n' * 500

    shown = to_html(f"```python\n{code}```")

    assert shown.count('class="k"') == 1_000
    assert code in words_of(shown)


@given(st.text(alphabet="[]()*_`~>#|-!<&\\ \n:/ah1", max_size=300))
@settings(max_examples=300)
def test_no_text_makes_rendering_fail(text: str):
    to_html(text)


@given(st.lists(st.sampled_from(["word ", "\n\n", "```\n", "x" * 5_000]), max_size=60))
@settings(max_examples=200)
def test_the_parts_of_a_text_are_the_text(pieces: list[str]):
    text = "".join(pieces)

    assert "".join(parts_of(text)) == text


def test_parts_are_short_where_the_text_has_blank_lines():
    text = ("word " * 100 + "\n\n") * 500

    assert max(map(len, parts_of(text))) <= MAX_PART_CHARACTERS


def test_a_long_code_that_arrives_is_cut_into_code():
    text = "Look:\n```python\n" + "x = 1\n" * 5_000

    block, rest = cut_long(text) or ("", "")

    assert len(block) <= MAX_PART_CHARACTERS
    assert rest.startswith("```python\nx = 1\n")
    assert block + rest.removeprefix("```python\n") == text


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_looking_for_a_finished_part_grows_with_the_length_and_no_faster(make: Maker):
    little = calls_in(lambda: split_frozen(make(SHORT)))
    much = calls_in(lambda: split_frozen(make(GROWTH * SHORT)))

    assert much < 1.6 * GROWTH * little + 1_000


async def test_the_page_gets_the_same_html_from_the_other_thread():
    assert await html_of(ORDINARY * 200, "en") == to_html(ORDINARY * 200)


def test_rendering_goes_in_parts():
    assert len(list(html_parts(ORDINARY * 500))) > 5


def test_what_was_rendered_is_remembered_up_to_a_number_of_characters():
    rendered = Rendered(most=4_000)

    for number in range(10):
        rendered.keep(f"{number}", "en", "x" * 900)

    assert rendered.characters <= 4_000
    assert rendered.get("9", "en") == "x" * 900
    assert rendered.get("0", "en") is None
