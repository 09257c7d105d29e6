"""The README's promise, on the real chain: server, Letta, our proxy, LiteLLM, model."""

import json
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pages.behind import Behind
from tests.e2e.platform import Person, Platform
from tests.waiting import wait_for

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]
README = Path(__file__).resolve().parents[2] / "README.md"


def run_curl(command: str, platform: Platform, token: str = "") -> dict[str, Any]:
    """Run one of the README's commands as printed, except for port, token and password."""
    command = command.replace("http://localhost:8000", platform.url)
    command = command.replace("YOUR_JWT_TOKEN", token)
    if platform.is_production:
        # There, easily guessed passwords are refused.
        command = command.replace("password123", "locker-4471-heron")
    done = subprocess.run(shlex.split(command), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_the_readmes_three_calls_work_as_printed(platform: Platform):
    register, login, message = re.findall(r"^curl .*$", README.read_text(), re.M)

    registered = run_curl(register, platform)
    signed_in = run_curl(login, platform)
    answer = run_curl(message, platform, signed_in["access_token"])

    assert registered["user"]["email"] == "test@example.com"
    assert answer["message"]["role"] == "assistant"
    assert answer["message"]["content"].strip()
    assert Decimal(answer["usage"]["cost_usd"]) > 0


def test_usage_is_the_sum_of_the_ledger(platform: Platform, alice: Person):
    alice.say("Hello!")
    alice.say("Remember that my bicycle is red.")

    usage = alice.get("/user/usage")
    booked = platform.ledger(alice.id)

    total = Decimal(usage["totals"]["cost_usd"])
    assert total > 0
    assert total == Decimal(sum(call["cost_nano_usd"] for call in booked)).scaleb(-9)
    for part in ("by_day", "by_model", "by_kind"):
        assert total == sum(Decimal(row["cost_usd"]) for row in usage[part])
    assert {call["state"] for call in booked} == {"settled"}


def test_a_turns_calls_add_up_to_its_usage(alice: Person):
    turn = alice.turn(alice.say("Remember that I like green tea.")["turn_id"])

    assert turn["status"] == "finished"
    assert len(turn["calls"]) >= 2
    assert sum(Decimal(c["cost_usd"]) for c in turn["calls"]) == Decimal(turn["usage"]["cost_usd"])


@pytest.mark.embedded("several servers cannot have one port of their own")
def test_the_agents_calls_come_to_the_proxys_own_port(platform: Platform, alice: Person):
    alice.say("Hello!")

    agent = Behind(platform, alice.email)
    stored = agent.letta("GET", f"/v1/agents/{agent.agent_id}").json()
    port = platform.address_of_proxy()

    ours = f"http://127.0.0.1:{port}/api/v1/llm-proxy/{agent.agent_id}"
    assert port != str(platform.port)
    assert stored["llm_config"]["model_endpoint"] == ours
    assert stored["embedding_config"]["embedding_endpoint"] == ours
    assert agent.calls


def test_two_people_at_once_are_each_charged_their_own(
    platform: Platform, alice: Person, bob: Person
):
    people = (alice, bob)

    with ThreadPoolExecutor(max_workers=2) as at_once:
        answers = list(at_once.map(lambda person: person.say(f"My name is {person.name}."), people))

    for person, answer in zip(people, answers, strict=True):
        calls = platform.rows("select * from model_calls where turn_id = ?", answer["turn_id"])
        assert {call["account_id"] for call in calls} == {person.id}
        assert {call["agent_id"] for call in calls} == {person.agent_id()}
        assert person.name in person.say("What is my name?")["message"]["content"]


def test_litellm_saw_each_persons_own_key(platform: Platform, alice: Person, bob: Person):
    alice.say("Hello!")
    bob.say("Hello!")

    # With a database, it writes what it saw every few seconds.
    wait_for(lambda: {alice.id, bob.id} <= platform.accounts_seen_by_litellm(), seconds=20)


def test_a_stranger_sees_nothing_of_another(alice: Person, bob: Person):
    turn_id = alice.say("My secret word is heliotrope.")["turn_id"]

    assert bob.request("GET", f"/chat/turns/{turn_id}").status_code == 404
    assert bob.request("GET", f"/chat/turns/{turn_id}/events").status_code == 404
    assert "heliotrope" not in bob.request("GET", "/chat/history").text
    assert "heliotrope" not in bob.request("GET", "/agent/memory").text


def test_an_answer_streams_as_server_sent_events(alice: Person):
    headers = {"Accept": "text/event-stream"}
    body = {"content": "Write a short text of 60 words."}

    with alice.http.stream("POST", "/chat/message", json=body, headers=headers) as answer:
        lines = list(answer.iter_lines())

    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert names[0] == "turn.started"
    assert names.count("message.delta") > 1
    assert names[-1] == "turn.completed"


@pytest.mark.slow
def test_a_restart_of_everything_keeps_accounts_history_and_memory(
    platform: Platform, alice: Person
):
    alice.say(f"My name is {alice.name}.")
    before = alice.get("/chat/history")["messages"]
    address = platform.address_of_proxy()

    platform.stop()
    left = platform.processes()
    platform.start()
    again = platform.person(alice.name)

    assert left == []
    assert platform.address_of_proxy() == address
    assert again.id == alice.id
    assert again.get("/chat/history")["messages"] == before
    assert alice.name in again.say("What is my name?")["message"]["content"]
