"""Every call of the real agent server is one row, charged to its person, and can be stopped."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.platform import Person, Platform

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(600)]


def change_budget(platform: Platform, person: Person, assignments: str) -> None:
    """Set columns of the person's budget directly, as time would."""
    platform.execute(f"update budgets set {assignments} where account_id = ?", person.id)


def let_time_pass(platform: Platform, person: Person, *, days: int) -> None:
    """Move all that the person has spent, and its period, into the past."""
    passed = days * 86_400_000
    columns = {
        "budgets": ("period_start_ms", "period_end_ms"),
        "model_calls": ("period_start_ms", "started_at_ms"),
    }
    for table, names in columns.items():
        assignments = ", ".join(f"{name} = {name} - {passed}" for name in names)
        platform.execute(f"update {table} set {assignments} where account_id = ?", person.id)


def calls_of(platform: Platform, turn_id: str) -> list[dict[str, Any]]:
    query = "select * from model_calls where turn_id = ? order by started_at_ms, id"
    return platform.rows(query, turn_id)


def least_of(call: dict[str, Any]) -> int:
    """Return what must be left for a slightly longer call: with 16 tokens of answer at $2.50 a
    million instead of the 32,768 that were reserved."""
    return (call["reserved_nano_usd"] - (32_768 - 16) * 2_500) * 115 // 100


def test_each_step_of_a_tool_loop_is_a_row_of_its_turn(platform: Platform, alice: Person):
    turn_id = alice.say("Please [[tools 3]]")["turn_id"]

    calls = calls_of(platform, turn_id)

    assert len(calls) == 4
    assert {call["account_id"] for call in calls} == {alice.id}
    assert {call["state"] for call in calls} == {"settled"}


def test_a_budget_that_ends_after_the_first_of_four_steps_holds(platform: Platform, alice: Person):
    first_turn = calls_of(platform, alice.say("Please [[tools 3]]")["turn_id"])
    spent = sum(call["cost_nano_usd"] for call in first_turn)
    # Enough for the next turn's first call, not for its second as well.
    enough = spent + least_of(first_turn[-1])
    change_budget(platform, alice, f"limit_nano_usd = {enough}")

    answer = alice.request("POST", "/chat/message", json={"content": "Once more [[tools 3]]"})

    assert (answer.status_code, answer.json()["code"]) == (402, "budget_spent")
    turn = alice.turn(answer.json()["turn_id"])
    made = [call for call in calls_of(platform, turn["turn_id"]) if call["state"] == "settled"]
    assert len(made) == 1
    assert spent + made[0]["cost_nano_usd"] <= enough
    assert sum(call["cost_nano_usd"] for call in made) == Decimal(turn["usage"]["cost_usd"]) * 10**9
    assert turn["messages"][0]["content"] == "Once more [[tools 3]]"

    refused = alice.request("POST", "/chat/message", json={"content": "Hello?"})
    assert (refused.status_code, refused.json()["code"]) == (402, "budget_spent")

    let_time_pass(platform, alice, days=40)
    assert alice.say("Hello again!")["message"]["content"]


def leave_to_everybody(platform: Platform, nano_usd: int) -> None:
    """Set what is left of the platform's cap, as other people's calls would."""
    spend = "update platform_spending set spent_nano_usd = ? where span = 'all'"
    platform.execute(spend, 1000 * 10**9 - nano_usd)


def test_the_platforms_limit_stops_a_turn_and_is_not_told_as_the_persons(
    platform: Platform, alice: Person
):
    first_turn = calls_of(platform, alice.say("Please [[tools 3]]")["turn_id"])
    # Enough for the next turn's first call, not for its second as well.
    leave_to_everybody(platform, least_of(first_turn[-1]))

    answer = alice.request("POST", "/chat/message", json={"content": "Once more [[tools 3]]"})
    refused = alice.request("POST", "/chat/message", json={"content": "Hello?"})

    assert (answer.status_code, answer.json()["code"]) == (402, "platform_budget_spent")
    assert "Contact your administrator" in answer.json()["detail"]
    calls = calls_of(platform, answer.json()["turn_id"])
    assert len([call for call in calls if call["state"] == "settled"]) == 1
    assert (refused.status_code, refused.json()["code"]) == (402, "platform_budget_spent")

    leave_to_everybody(platform, 10**9)
    assert alice.say("Hello again!")["message"]["content"]


@pytest.mark.parametrize("status", [429, 500])
def test_a_failure_that_the_agent_server_repeats_is_one_row(
    platform: Platform, alice: Person, status: int
):
    answer = alice.request("POST", "/chat/message", json={"content": f"Now [[fail {status}]]"})

    assert answer.status_code >= 429, answer.text
    calls = calls_of(platform, answer.json()["turn_id"])
    assert len(calls) == 1
    assert {call["state"] for call in calls} == {"failed"}
    assert {call["account_id"] for call in calls} == {alice.id}


def test_archive_writes_and_searches_are_charged_as_embeddings(platform: Platform, alice: Person):
    alice.say("Please archive that my cat is called Tom.")
    alice.say("Please search your archive for my cat.")

    kinds = Counter(call["kind"] for call in platform.ledger(alice.id))

    assert kinds["embedding"] >= 2
    assert kinds["background"] == 0


def test_a_failing_embedding_endpoint_is_not_stormed(platform: Platform, alice: Person):
    alice.say("Hello!")

    answer = alice.request("POST", "/agent/passages", json={"text": "Keep this [[fail 500]]"})

    assert answer.status_code >= 500
    tried = [call for call in platform.ledger(alice.id) if call["kind"] == "embedding"]
    assert 1 <= len(tried) <= 3


def test_a_long_conversation_is_compacted_at_its_persons_cost(platform: Platform, alice: Person):
    long = "All work and no play. " * 800
    turns = [alice.say(f"{long} Part {number}.")["turn_id"] for number in range(9)]

    steps = [step for turn in turns for step in alice.turn(turn)["steps"]]

    assert any(step["kind"] == "compaction" for step in steps)
    assert {call["account_id"] for call in platform.ledger(alice.id)} == {alice.id}
    assert {call["state"] for call in platform.ledger(alice.id)} == {"settled"}
