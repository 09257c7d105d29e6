from hypothesis import given
from hypothesis import strategies as st

from chat_platform.demo_model.embeddings import DIMENSIONS, embed
from chat_platform.demo_model.tokens import count_prompt, count_tokens, cut_to_tokens


def test_tokens_can_be_counted_by_hand():
    assert count_tokens("Hello, you!") == 2 + 1 + 1 + 1
    assert count_tokens("") == 0


def test_a_prompt_costs_its_messages_and_its_tools():
    bare = count_prompt([{"role": "user", "content": "Hello"}], [])
    with_tools = count_prompt([{"role": "user", "content": "Hello"}], [{"name": "search"}])

    assert bare == 3 + 2
    assert with_tools > bare


@given(st.text(), st.integers(min_value=0, max_value=50))
def test_a_cut_text_is_a_beginning_within_the_limit(text: str, limit: int):
    cut = cut_to_tokens(text, limit)

    assert text.startswith(cut)
    assert count_tokens(cut) <= limit


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text: str):
    vector = embed(text)

    assert len(vector) == DIMENSIONS
    assert abs(sum(value * value for value in vector) - 1) < 1e-9


def test_texts_that_share_words_are_nearer_than_others():
    bike = embed("what colour is the bike")

    assert _nearness(bike, embed("the bike is red")) > _nearness(bike, embed("tea with lemon"))


def _nearness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
