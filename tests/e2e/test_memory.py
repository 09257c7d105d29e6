"""The agent's memory on the real chain: shown, changed, undone, found and forgotten."""

from decimal import Decimal

import pytest

from tests.e2e.platform import Person, Platform

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]


def block(person: Person, label: str = "human") -> dict:
    blocks = person.get("/agent/memory")["blocks"]
    return next(found for found in blocks if found["label"] == label)


def test_what_the_agent_noted_names_its_turn_and_can_be_undone(alice: Person):
    before = block(alice)
    turn_id = alice.say("Remember that my bicycle is red.")["turn_id"]
    noted = block(alice)

    newest, oldest = alice.get("/agent/memory/human/history")["revisions"]
    undone = alice.request(
        "POST", "/agent/memory/human/undo", json={"revision": before["revision"]}
    )

    message = alice.turn(turn_id)["messages"][0]
    assert "bicycle is red" in noted["value"]
    assert newest["revision"] == noted["revision"]
    assert newest["cause"] == {
        "kind": "agent",
        "turn_id": turn_id,
        "message_id": message["id"],
        "step": newest["cause"]["step"],
    }
    assert newest["cause"]["step"] > 0
    assert oldest["value"] == before["value"]
    assert undone.json()["value"] == before["value"]
    assert block(alice)["value"] == before["value"]


def test_what_the_person_writes_is_what_the_agent_knows(alice: Person):
    revision = block(alice)["revision"]

    written = alice.request(
        "PUT",
        "/agent/memory/human",
        json={"value": "Name: Zoë"},
        headers={"If-Match": f'"{revision}"'},
    )

    assert written.status_code == 200
    assert "Zoë" in alice.say("What is my name?")["message"]["content"]


def test_memories_are_found_by_meaning_and_charged(platform: Platform, alice: Person, bob: Person):
    for text in ("The bicycle is red.", "The cat is called Tom."):
        assert alice.request("POST", "/agent/passages", json={"text": text}).status_code == 201

    found = alice.get("/agent/passages?q=cat&limit=1")["passages"]

    calls = platform.ledger(alice.id)
    usage = alice.get("/user/usage")["totals"]
    assert [passage["text"] for passage in found] == ["The cat is called Tom."]
    assert len(calls) == 3
    assert Decimal(usage["cost_usd"]) == Decimal(sum(c["cost_nano_usd"] for c in calls)).scaleb(-9)
    assert bob.get("/agent/passages")["passages"] == []
    stolen = bob.request("DELETE", f"/agent/passages/{found[0]['id']}")
    assert stolen.status_code == 404


@pytest.mark.slow
def test_a_reset_forgets_everything_but_the_history(alice: Person):
    alice.say("Remember that my bicycle is red.")
    alice.request("POST", "/agent/passages", json={"text": "The cat is called Tom."})
    old = alice.agent_id()

    answer = alice.request("POST", "/agent/reset", json={"confirm": "reset"})

    assert answer.json()["agent_id"] != old
    assert "red" not in alice.say("What do you remember?")["message"]["content"]
    assert alice.get("/agent/memory")["archival"]["count"] == 0
    assert len(alice.get("/chat/history")["messages"]) == 4
