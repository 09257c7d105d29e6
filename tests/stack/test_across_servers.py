"""What one server process does, every other one knows: turns, keys, limits, sign-ins, pages."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.platform import Person, wait_until_it_talks
from tests.e2e.test_turns_readers import events_of
from tests.stack.books import disagreements, unbooked, wait_until_at_rest
from tests.stack.conftest import new_person
from tests.stack.platform import StackPlatform
from tests.waiting import wait_for

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]

WORDS = 100
SLOWLY = f"[[words {WORDS}]] [[pace 30]]"
WHOLE = [f"word{number}" for number in range(1, WORDS + 1)]


@pytest.fixture
def both(stack: StackPlatform, alice: Person) -> tuple[Person, Person]:
    """Alice at the first server, and at the second."""
    first, second = (alice.at(url) for url in stack.server_urls)
    return first, second


def follow(
    person: Person, turn_id: str, has_begun: threading.Event
) -> list[tuple[float, str, dict[str, Any]]]:
    """Return every event of a turn with the time of its arrival."""
    events: list[tuple[float, str, dict[str, Any]]] = []
    with person.http.stream("GET", f"/chat/turns/{turn_id}/events") as answer:
        for _, name, data in events_of(answer):
            events.append((time.monotonic(), name, data))
            has_begun.set()
    return events


def test_an_answer_arrives_at_both_servers_while_it_is_written(both: tuple[Person, Person]):
    here, there = both
    turn_id = here.begin(SLOWLY)

    with ThreadPoolExecutor() as at_once:
        reading = [at_once.submit(follow, each, turn_id, threading.Event()) for each in both]
        own, other = (each.result(timeout=60) for each in reading)

    for events in (own, other):
        text = "".join(data["text"] for _, name, data in events if name == "message.delta")
        assert text.split() == WHOLE
        assert events[-1][1] == "turn.completed"
    # Redis tells the other of each piece: without it, all would come with the end.
    assert len({round(at, 1) for at, name, _ in other if name == "message.delta"}) > 4
    assert there.turn(turn_id) == here.turn(turn_id)


def test_one_key_at_both_servers_is_one_turn(stack: StackPlatform, both: tuple[Person, Person]):
    words = f"[[words 5]] for {both[0].name}"
    key = {"Idempotency-Key": both[0].name}

    with ThreadPoolExecutor(20) as at_once:
        answers = list(at_once.map(lambda n: both[n % 2].say(words, **key), range(20)))

    assert len({answer["turn_id"] for answer in answers}) == 1
    assert len(stack.calls_at_the_model(words)) == 1


def test_a_second_message_waits_for_the_first_at_whichever_server(both: tuple[Person, Person]):
    here, there = both
    turn_id = here.begin(SLOWLY)

    refused = there.request("POST", "/chat/message", json={"content": "And now?"})

    assert (refused.status_code, refused.json()["code"]) == (409, "turn_running")
    assert here.wait_for_end(turn_id)["status"] == "finished"


def test_stop_at_one_server_stops_the_answer_of_the_other_within_a_second(
    stack: StackPlatform, both: tuple[Person, Person]
):
    here, there = both
    words = f"[[words 600]] [[pace 30]] for {here.name}"
    turn_id = here.begin(words)
    wait_until_it_talks(stack, words)

    there.request("POST", f"/chat/turns/{turn_id}/cancel")

    assert here.wait_for_end(turn_id, seconds=1.5)["status"] == "cancelled"


def test_searches_are_limited_over_both_servers_together(stack: StackPlatform):
    people = [new_person(stack, "Searcher") for _ in range(2)]

    # A minute of the limit may end in between, but not with both of them.
    assert any(is_refused_after_120_searches(stack, person) for person in people)


def is_refused_after_120_searches(stack: StackPlatform, person: Person) -> bool:
    both = [person.at(url) for url in stack.server_urls]

    def search(number: int) -> int:
        return both[number % 2].request("GET", "/chat/search?q=bicycle").status_code

    with ThreadPoolExecutor(4) as at_once:
        return list(at_once.map(search, range(124))).count(429) == 4


def test_signing_out_at_one_server_ends_what_the_other_is_sending(both: tuple[Person, Person]):
    here, there = both
    turn_id = here.begin(f"[[words 300]] [[pace 30]] for {here.name}")
    has_begun = threading.Event()
    with ThreadPoolExecutor() as at_once:
        reading = at_once.submit(follow, there, turn_id, has_begun)
        assert has_begun.wait(30)

        here.request("POST", "/auth/logout")
        signed_out_at = time.monotonic()

        events = reading.result(timeout=30)
    assert events[-1][0] - signed_out_at < 1.5
    assert there.request("GET", "/user/usage").status_code == 401


def test_a_budget_is_kept_over_both_servers_together(
    stack: StackPlatform, both: tuple[Person, Person]
):
    here = both[0]
    here.say("Hello!")
    stack.execute(
        "update budgets set limit_nano_usd = spent_nano_usd where account_id = ?", here.id
    )

    for each in both:
        refused = each.request("POST", "/chat/message", json={"content": "Hello again!"})
        assert (refused.status_code, refused.json()["code"]) == (402, "budget_spent")


def test_both_servers_serve_what_comes_through_nginx(stack: StackPlatform, alice: Person):
    before = [requests_of(stack, url) for url in stack.server_urls]

    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda _: alice.get("/user/usage"), range(40)))

    after = [requests_of(stack, url) for url in stack.server_urls]
    assert all(now > then for then, now in zip(before, after, strict=True))


def requests_of(stack: StackPlatform, url: str) -> int:
    """How many responses of its API the server has counted."""
    answer = httpx.get(
        f"{url}/metrics", headers={"Authorization": f"Bearer {stack.told()['METRICS_TOKEN']}"}
    )
    lines = [line for line in answer.text.splitlines() if "responses_total{" in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def test_the_books_agree(stack: StackPlatform, alice: Person):
    alice.say("Remember that my bicycle is red.")
    wait_until_at_rest(stack)

    assert disagreements(stack, [alice]) == []
    if stack.has_spend_logs:
        wait_for(lambda: unbooked(stack, is_exact=False) == [], seconds=30)
