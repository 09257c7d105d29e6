"""On the real chain: long answers, many steps, long turns, and a reader kept alive by pings.

LONG_TURN_SECONDS=600 runs the turn of ten minutes; by default it takes a minute and a half, longer
than any lease, renewal and ping.
"""

import os
import time
from itertools import pairwise

import pytest

from tests.e2e.platform import Person, Platform
from tests.e2e.test_turns_readers import streamed

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(1200)]

LONG_TURN_SECONDS = int(os.environ.get("LONG_TURN_SECONDS", "90"))
QUIET_SECONDS = 15.0
"""The longest that a reader may receive nothing."""


def words(count: int) -> list[str]:
    return [f"word{number}" for number in range(1, count + 1)]


def test_an_answer_of_a_hundred_kilobytes_is_kept_whole(alice: Person):
    answer = alice.say(f"[[words 12000]] [[pace 0]] for {alice.name}")

    content = answer["message"]["content"]
    assert len(content) > 100_000
    assert content.split() == words(12_000)
    assert answer["message"]["status"] == "complete"
    assert alice.get("/chat/history")["messages"][-1]["content"] == content


def test_an_answer_beyond_the_models_limit_is_marked_as_unfinished(alice: Person):
    answer = alice.say(f"[[words 20000]] [[pace 0]] for {alice.name}")

    assert answer["message"]["status"] == "partial"
    assert answer["message"]["content"].startswith("word1 word2")


def test_fifty_tool_steps_end_in_an_answer(alice: Person):
    turn = alice.turn(alice.say(f"[[tools 50]] for {alice.name}")["turn_id"])

    tools = [step for step in turn["steps"] if step["kind"] == "tool_call"]
    assert [step["status"] for step in tools] == ["started", "done"] * 50
    assert len(turn["calls"]) == turn["usage"]["model_calls"] == 51
    assert turn["status"] == "finished"


def test_a_turn_may_take_minutes(platform: Platform, alice: Person):
    text = f"[[words {LONG_TURN_SECONDS * 2}]] [[pace 500]] for {alice.name}"

    turn = alice.wait_for_end(alice.begin(text), seconds=LONG_TURN_SECONDS + 60)

    assert turn["status"] == "finished"
    assert turn["messages"][1]["content"].split() == words(LONG_TURN_SECONDS * 2)
    assert len(platform.calls_at_the_model(text)) == len(turn["calls"]) == 1


def test_a_reader_is_pinged_while_the_model_says_nothing(alice: Person):
    alice.say("Hello!")
    heard: list[tuple[float, str]] = []

    with streamed(alice, f"[[silence 25]] for {alice.name}") as answer:
        for line in answer.iter_lines():
            heard.append((time.monotonic(), line))

    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(heard)]
    assert max(gaps) < QUIET_SECONDS
    assert ": ping" in [line for _, line in heard]
    assert "event: turn.completed" in [line for _, line in heard]
