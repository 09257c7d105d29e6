"""Numbers count characters, so that a log can be split and merged without readers noticing."""

from hypothesis import given
from hypothesis import strategies as st

from chat_platform.turns.events import TurnEvent, merge_text, text_of

PIECES = st.lists(
    st.one_of(st.text(min_size=1, max_size=9), st.none()), max_size=12
)  # None: a step between pieces of text


def log_of(pieces: list[str | None]) -> list[TurnEvent]:
    events = [TurnEvent(1, "turn.started", {"turn_id": "t"})]
    for piece in pieces:
        number = events[-1].number + (len(piece) if piece else 1)
        if piece:
            events.append(TurnEvent(number, "message.delta", {"text": piece}))
        else:
            events.append(TurnEvent(number, "step", {"name": "step"}))
    return [*events, TurnEvent(events[-1].number + 1, "turn.completed", {})]


def rest(events: list[TurnEvent], number: int) -> list[TurnEvent]:
    return [part for event in events if (part := event.rest_after(number))]


@given(PIECES)
def test_a_reader_at_any_number_gets_exactly_what_it_lacks(pieces: list[str | None]):
    whole = log_of(pieces)

    for number in range(whole[-1].number + 1):
        lacking = rest(whole, number)

        assert sum(event.width for event in lacking) == whole[-1].number - number
        assert text_of(whole).endswith(text_of(lacking))


@given(PIECES)
def test_merging_the_text_changes_nothing_for_a_reader_at_any_number(pieces: list[str | None]):
    whole = log_of(pieces)

    merged = merge_text(whole)

    for number in range(whole[-1].number + 1):
        assert merge_text(rest(merged, number)) == merge_text(rest(whole, number))


def test_merging_leaves_one_piece_between_two_steps():
    merged = merge_text(log_of(["a", "b", None, "c", "d", "e"]))

    texts = [event.data["text"] for event in merged if event.type == "message.delta"]
    assert texts == ["ab", "cde"]
