"""Searching for words: results with the word marked, and the jump to its message."""

import pytest

from chat_platform.context import AppContext, set_app_context
from chat_platform.state.search import SearchState, parted
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_talk import talk


@pytest.mark.parametrize(
    ("snippet", "stems", "match"),
    [
        ("The tickets are here", ["ticket"], "tickets"),
        ("Билеты лежат там", ["билет"], "Билеты"),
        ("Nothing of it", ["ticket"], ""),
        ("Anything", [], ""),
        ("a.b(c", ["(", "b"], "b"),
    ],
)
def test_the_found_word_is_told_apart(snippet: str, stems: list[str], match: str):
    before, found, after = parted(snippet, stems)

    assert found == match
    assert before + found + after == snippet


async def test_results_say_who_wrote_and_how_many_there_are(ctx: AppContext, alice: Person):
    set_app_context(ctx)
    await talk(ctx, alice, "Where are the zanzibar tickets?")
    tab = OpenTab(alice.cookie)

    await tab.send(SearchState, "search", {"words": "zanzibar"})

    found = tab.of(SearchState)
    assert [result["who"] for result in found.results] == ["Your agent", "You"]
    assert {result["match"] for result in found.results} == {"zanzibar"}
    assert found.outcome == "2 messages found"


async def test_bob_finds_nothing_of_alices(ctx: AppContext, alice: Person, bob: Person):
    set_app_context(ctx)
    await talk(ctx, alice, "Where are the zanzibar tickets?")
    tab = OpenTab(bob.cookie)

    await tab.send(SearchState, "search", {"words": "zanzibar"})

    assert tab.of(SearchState).results == []
