"""On the real chain: readers come and go, the turn continues, and it is charged once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.e2e.platform import Person, Platform

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(600)]


def events_of(answer: httpx.Response) -> Iterator[tuple[int, str, dict[str, Any]]]:
    number, name = 0, ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            number = int(value)
        elif field == "event":
            name = value
        elif field == "data":
            yield number, name, json.loads(value)


def streamed(person: Person, text: str):
    headers = {"Accept": "text/event-stream"}
    return person.http.stream("POST", "/chat/message", json={"content": text}, headers=headers)


def test_a_reader_that_leaves_finds_the_full_answer_later_and_is_charged_once(
    platform: Platform, alice: Person
):
    words = f"[[words 60]] [[pace 30]] for {alice.name}"
    with streamed(alice, words) as answer:
        (_, _, started) = next(events_of(answer))

    turn = alice.wait_for_end(started["turn_id"])

    assert turn["status"] == "finished"
    assert turn["messages"][1]["content"].split() == [f"word{n}" for n in range(1, 61)]
    assert len(platform.calls_at_the_model(words)) == 1
    assert len(turn["calls"]) == turn["usage"]["model_calls"] == 1
    assert Decimal(turn["usage"]["cost_usd"]) == Decimal(turn["calls"][0]["cost_usd"]) > 0


def test_a_reader_picks_up_at_the_very_next_word(alice: Person):
    seen: list[tuple[int, str, dict[str, Any]]] = []
    with streamed(alice, f"[[words 80]] [[pace 30]] for {alice.name}") as answer:
        for event in events_of(answer):
            seen.append(event)
            if len(seen) > 10:
                break
    last, _, _ = seen[-1]
    url = f"/chat/turns/{seen[0][2]['turn_id']}/events"

    with alice.http.stream("GET", url, headers={"Last-Event-ID": str(last)}) as answer:
        rest = list(events_of(answer))

    text = "".join(data["text"] for _, name, data in [*seen, *rest] if name == "message.delta")
    assert text.split() == [f"word{n}" for n in range(1, 81)]
    assert rest[-1][1] == "turn.completed"


def test_twenty_messages_with_one_key_are_one_turn(platform: Platform, alice: Person):
    words = f"[[words 5]] for {alice.name}"

    with ThreadPoolExecutor(max_workers=20) as at_once:
        key = {"Idempotency-Key": alice.name}
        answers = list(at_once.map(lambda _: alice.say(words, **key), range(20)))

    assert len({answer["turn_id"] for answer in answers}) == 1
    assert len({answer["message"]["id"] for answer in answers}) == 1
    assert len(platform.calls_at_the_model(words)) == 1


def test_fifty_people_at_once_are_not_mixed_up(platform: Platform):
    people = [platform.person(f"Crowd{number}x") for number in range(50)]

    with ThreadPoolExecutor(max_workers=50) as at_once:
        told = list(at_once.map(lambda p: p.say(f"My name is {p.name}."), people))
        asked = list(at_once.map(lambda p: p.say("What is my name?"), people))

    for person, first, second in zip(people, told, asked, strict=True):
        assert person.name in second["message"]["content"]
        for answer in (first, second):
            query = "select * from model_calls where turn_id = ?"
            calls = platform.rows(query, answer["turn_id"])
            assert {call["account_id"] for call in calls} == {person.id}
            cost = Decimal(sum(call["cost_nano_usd"] for call in calls)).scaleb(-9)
            assert cost == Decimal(answer["usage"]["cost_usd"]) > 0
