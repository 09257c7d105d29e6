"""On the real chain: parts die in the middle of a turn, and nothing is lost or paid twice."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.platform import Person, Platform, wait_until_it_talks
from tests.waiting import wait_for

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(600)]

RECOVERY_SECONDS = 30.0


def post(person: Person, text: str) -> httpx.Response:
    return person.request("POST", "/chat/message", json={"content": text})


@pytest.mark.embedded("with Redis, another server finishes the turn")
def test_a_killed_server_keeps_the_message_and_the_text_and_charges_once(
    platform: Platform, alice: Person
):
    words = f"[[words 600]] [[pace 30]] for {alice.name}"
    turn_id = alice.begin(words)
    wait_until_it_talks(platform, words)
    stored = "select number from turn_events where turn_id = ? and type = 'message.delta'"
    wait_for(lambda: platform.rows(stored, turn_id), seconds=30)

    killed, killed_at = platform.pid_of("server"), time.monotonic()
    platform.kill("server")
    platform.wait_for_another("server", than=killed)
    platform.wait_until_ready()
    turn = alice.wait_for_end(turn_id, seconds=RECOVERY_SECONDS)

    assert time.monotonic() - killed_at < RECOVERY_SECONDS + 15
    assert turn["status"] == "failed"
    assert turn["error"]["code"] == "interrupted"
    said, reply = turn["messages"]
    assert (said["content"], said["status"]) == (words, "failed")
    assert reply["status"] == "partial"
    assert reply["content"].startswith("word1 word2")
    assert len(platform.calls_at_the_model(words)) == 1
    assert len(platform.rows("select id from model_calls where turn_id = ?", turn_id)) == 1
    assert alice.say("Are you back?")["message"]["content"]


@pytest.mark.parametrize("part", ["letta", "litellm"])
def test_a_killed_peer_fails_the_turn_and_the_next_message_works(
    platform: Platform, alice: Person, part: str
):
    words = f"[[words 600]] [[pace 30]] for {alice.name}"
    alice.say("Hello!")
    with ThreadPoolExecutor() as at_once:
        waiting = at_once.submit(post, alice, words)
        wait_until_it_talks(platform, words)
        killed = platform.pid_of(part)
        platform.kill(part)
        answer = waiting.result(timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (503, "agent_unavailable")
    turn = alice.turn(answer.json()["turn_id"])
    assert turn["status"] == "failed"
    assert turn["messages"][0]["content"] == words
    assert {call["status"] for call in turn["calls"]} <= {"failed", "cancelled", "unknown"}
    platform.wait_for_another(part, than=killed)
    platform.wait_until_ready(120)
    assert alice.say("Are you back?")["message"]["content"]


@pytest.mark.embedded("behind nginx, the other server accepts the message")
def test_a_terminated_server_lets_the_running_turn_finish(platform: Platform, alice: Person):
    words = f"[[words 100]] [[pace 30]] for {alice.name}"
    turn_id = alice.begin(words)
    wait_until_it_talks(platform, words)

    terminated = platform.pid_of("server")
    os.kill(terminated, signal.SIGTERM)
    # Until it knows that it must stop, it says that it is still answering.
    wait_for(lambda: _code(post(alice, "Anybody there?")) == "restarting", seconds=10)
    platform.wait_for_another("server", than=terminated)
    platform.wait_until_ready(60)

    turn = alice.wait_for_end(turn_id)
    assert turn["status"] == "finished"
    assert turn["messages"][1]["content"].split()[-1] == "word100"


def _code(answer: httpx.Response) -> str:
    assert answer.status_code in (409, 503), answer.text
    return answer.json()["code"]
