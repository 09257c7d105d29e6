"""On the real chain: a stopped turn stops, and so does its spending."""

import random
import time
from decimal import Decimal

import pytest

from tests.e2e.platform import Person, Platform, wait_until_it_talks
from tests.waiting import wait_for

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STOP_SECONDS = 1.0
_random = random.Random(4)
MOMENTS = [round(_random.uniform(0, 2.5), 2) for _ in range(10)]
"""From before the agent's run has begun to the middle of the reply."""


def wait_until_nothing_is_open(platform: Platform, words: str, *, seconds: float) -> None:
    wait_for(
        lambda: all(call["state"] != "open" for call in platform.calls_at_the_model(words)),
        seconds=seconds,
        otherwise=lambda: f"still open at the model after {seconds} s",
    )


@pytest.mark.parametrize(
    "moment", [MOMENTS[0], *(pytest.param(m, marks=pytest.mark.slow) for m in MOMENTS[1:])]
)
def test_a_stop_closes_the_models_call_within_a_second(
    platform: Platform, alice: Person, moment: float
):
    words = f"[[words 400]] [[pace 30]] for {alice.name}"
    alice.say("Hello!")
    turn_id = alice.begin(words)
    time.sleep(moment)

    alice.request("POST", f"/chat/turns/{turn_id}/cancel")

    wait_until_nothing_is_open(platform, words, seconds=STOP_SECONDS)
    turn = alice.wait_for_end(turn_id, seconds=STOP_SECONDS)
    assert turn["status"] == "cancelled"
    assert {call["status"] for call in turn["calls"]} <= {"cancelled", "settled", "unknown"}
    total = sum(Decimal(call["cost_usd"]) for call in turn["calls"])
    assert total == Decimal(turn["usage"]["cost_usd"])
    assert len(platform.calls_at_the_model(words)) <= 1


def test_what_was_said_is_kept_and_the_agent_hears_of_it(platform: Platform, alice: Person):
    turn_id = alice.begin(f"[[words 400]] [[pace 30]] for {alice.name}")
    wait_until_it_talks(platform, alice.name)
    alice.request("POST", f"/chat/turns/{turn_id}/cancel")
    turn = alice.wait_for_end(turn_id)
    knows = "select is_known_to_agent from turns where id = ?"
    (before,) = platform.rows(knows, turn_id)

    answer = alice.say("Are you there?")

    said, reply = turn["messages"]
    assert said["content"].endswith(alice.name)
    assert reply["status"] == "partial"
    assert reply["content"].startswith("word1 word2")
    assert answer["message"]["status"] == "complete"
    (after,) = platform.rows(knows, turn_id)
    assert (before["is_known_to_agent"], after["is_known_to_agent"]) == (0, 1)
