"""On the real chain with Redis: another server process finishes a dead process's turn.

Two server processes share Postgres, Redis and a Letta that keeps its runs (background mode).
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from chat_platform.launcher.postgres import Postgres, ensure_database
from tests.e2e.platform import Person, Platform, SecondServer
from tests.e2e.test_turns_readers import events_of
from tests.e2e.test_turns_stop import STOP_SECONDS, wait_until_nothing_is_open
from tests.e2e.test_turns_survive import wait_until_it_talks
from tests.open_folder import new_open_folder

pytestmark = [
    pytest.mark.chain,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.embedded("it starts its own servers"),
]

WORDS = 1200
"""At 30 ms each: the run is still going on when the dead process's lease has run out."""
WHOLE = [f"word{number}" for number in range(1, WORDS + 1)]
TAKE_OVER_SECONDS = 30.0


@pytest.fixture(scope="module")
def shared(postgres_server: Postgres, redis_url: str) -> Iterator[Platform]:
    """A platform with several server processes that serve turns."""
    ensure_database(postgres_server, "shared")
    with new_open_folder() as folder:
        running = Platform(folder / "data")
        running.start(DATABASE_URL=postgres_server.url("shared"), REDIS_URL=redis_url)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def second(shared: Platform) -> Iterator[SecondServer]:
    server = SecondServer(shared)
    yield server
    server.kill()


def begun(platform: Platform, person: Person) -> tuple[str, str]:
    """Begin a long turn; return its id and words once the model answers."""
    words = f"[[words {WORDS}]] [[pace 30]] for {person.name}"
    turn_id = person.begin(words)
    wait_until_it_talks(platform, words)
    return turn_id, words


def follow(
    person: Person, turn_id: str, has_begun: threading.Event
) -> list[tuple[int, str, dict[str, Any]]]:
    events: list[tuple[int, str, dict[str, Any]]] = []
    with person.http.stream("GET", f"/chat/turns/{turn_id}/events") as answer:
        for event in events_of(answer):
            events.append(event)
            has_begun.set()
    return events


def text_of(events: list[tuple[int, str, dict[str, Any]]]) -> str:
    return "".join(data["text"] for _, name, data in events if name == "message.delta")


def assert_whole_and_paid_once(platform: Platform, turn: dict[str, Any], words: str) -> None:
    assert turn["status"] == "finished"
    assert turn["messages"][1]["content"].split() == WHOLE
    assert turn["messages"][1]["status"] == "complete"
    assert len(platform.calls_at_the_model(words)) == 1
    (call,) = turn["calls"]
    assert call["status"] == "settled"
    assert Decimal(turn["usage"]["cost_usd"]) == Decimal(call["cost_usd"]) > 0


def test_a_killed_servers_turn_is_finished_by_another(shared: Platform, second: SecondServer):
    alice = shared.person("AliceKilled")
    turn_id, words = begun(shared, alice.through(second))
    with ThreadPoolExecutor() as at_once:
        has_begun = threading.Event()
        reading = at_once.submit(follow, alice, turn_id, has_begun)
        assert has_begun.wait(30)

        second.kill()

        events = reading.result(timeout=120)

    assert text_of(events).split() == WHOLE
    assert events[-1][1] == "turn.completed"
    turn = alice.turn(turn_id)
    assert_whole_and_paid_once(shared, turn, words)
    assert events[-1][2]["usage"] == turn["usage"]
    assert alice.say("Are you there?")["message"]["content"]


def test_a_taken_over_turn_stops_within_a_second(shared: Platform, second: SecondServer):
    alice = shared.person("AliceStops")
    turn_id, words = begun(shared, alice.through(second))
    second.kill()
    time.sleep(TAKE_OVER_SECONDS - 5)

    alice.request("POST", f"/chat/turns/{turn_id}/cancel")

    wait_until_nothing_is_open(shared, words, seconds=STOP_SECONDS)
    assert alice.wait_for_end(turn_id, seconds=STOP_SECONDS)["status"] == "cancelled"


def test_a_terminated_server_hands_its_long_turn_over(shared: Platform, second: SecondServer):
    alice = shared.person("AliceMoves")
    words = f"[[words {WORDS}]] [[pace 30]] for {alice.name}"
    with ThreadPoolExecutor() as at_once:
        body = {"content": words}
        waiting = at_once.submit(alice.through(second).request, "POST", "/chat/message", json=body)
        wait_until_it_talks(shared, words)

        second.terminate()

        answer = waiting.result(timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (503, "restarting")
    turn = alice.wait_for_end(answer.json()["turn_id"], seconds=90)
    assert_whole_and_paid_once(shared, turn, words)


def test_a_run_whose_model_call_died_with_its_server_ends_interrupted(
    shared: Platform, second: SecondServer
):
    # The first server runs the turn and relays its call, so that both die.
    alice = shared.person("AliceBroken")
    turn_id, words = begun(shared, alice)
    shared.kill("server")

    there = alice.through(second)
    turn = there.wait_for_end(turn_id, seconds=TAKE_OVER_SECONDS)

    assert turn["error"]["code"] == "interrupted"
    said, reply = turn["messages"]
    assert (said["content"], said["status"]) == (words, "failed")
    assert reply["content"].startswith("word1 word2")
    assert len(shared.calls_at_the_model(words)) == 1
    assert follow(there, turn_id, threading.Event())[-1][2]["usage"] == turn["usage"]
    shared.wait_until_ready()


def test_a_reader_without_an_end_hears_it_from_whoever_finishes(
    shared: Platform, second: SecondServer
):
    """Last-Event-ID works across processes: the rest is exactly what was missing."""
    alice = shared.person("AliceResumes")
    words = f"[[words 60]] [[pace 30]] for {alice.name}"
    seen: list[tuple[int, str, dict[str, Any]]] = []
    there = alice.through(second)
    headers = {"Accept": "text/event-stream"}
    with there.http.stream("POST", "/chat/message", json={"content": words}, headers=headers) as a:
        for event in events_of(a):
            seen.append(event)
            if len(seen) > 10:
                break

    url = f"/chat/turns/{seen[0][2]['turn_id']}/events"
    with alice.http.stream("GET", url, headers={"Last-Event-ID": str(seen[-1][0])}) as answer:
        rest = list(events_of(answer))

    assert text_of([*seen, *rest]).split() == WHOLE[:60]
