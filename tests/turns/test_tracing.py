"""The spans of turns: exactly one for each, however it ended and whichever door it came by."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chat_platform.context import AppContext, set_app_context
from chat_platform.state.chat import ChatState
from chat_platform.turns.ending import TurnEnd, end_turn
from chat_platform.values.spans import request_span, run_span, turn_span
from tests.fakes import FakeTraces
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_rows import add_turn
from tests.waiting import eventually


@pytest.fixture
def traces() -> FakeTraces:
    return FakeTraces()


@pytest.fixture
def traced(ctx: AppContext, traces: FakeTraces) -> Iterator[AppContext]:
    traced = replace(ctx, traces=traces)
    set_app_context(traced)
    yield traced
    set_app_context(None)


async def test_a_page_message_is_the_root_of_its_turn(
    traced: AppContext, traces: FakeTraces, alice: Person
):
    await OpenTab(alice.cookie).send(ChatState, "send", {"text": "Hello", "nonce": "one"})

    await eventually(lambda: len(traces.spans) == 3)
    spans = {span.name: span for span in traces.spans}
    turn = spans["turn"]
    turn_id = turn.attributes["chat_platform.turn_id"]
    assert isinstance(turn_id, str)
    assert (spans["page message"].id, spans["page message"].parent) == (turn.parent, None)
    assert (spans["agent run"].id, spans["agent run"].parent) == (run_span(turn_id), turn.id)  # pyright: ignore[reportArgumentType]


async def test_a_stopped_turn_is_told_as_such(
    traced: AppContext, traces: FakeTraces, alice: Person
):
    turn = await add_turn(traced, alice.id)

    assert await end_turn(traced, turn.id, TurnEnd("cancelled"))
    assert not await end_turn(traced, turn.id, TurnEnd("cancelled"))

    [span] = traces.spans
    assert (span.id, span.parent) == (turn_span(turn.id), request_span(turn.id))
    assert (span.attributes["chat_platform.status"], span.error) == ("cancelled", None)
