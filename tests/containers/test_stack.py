"""The compose file comes up unchanged: the README's calls, pages, killed services, restarts."""

import json
import re
import shlex
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.containers.stack import ONCE, Stack, listening_addresses
from tests.e2e.platform import Person
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.rig, pytest.mark.timeout(2000)]
README = Path(__file__).resolve().parents[2] / "README.md"
RUNNING = {"server", "letta", "litellm", "demo-model", "redis", "postgres"}
TRIES_TO_CONNECT = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
        print(place)
    except OSError:
        pass
"""


def test_the_readmes_three_calls_work(stack: Stack):
    register, login, message = re.findall(r"^curl .*$", README.read_text(), re.M)

    def run(command: str, token: str = "") -> str:
        # In production, easily guessed passwords are refused.
        command = command.replace("password123", "locker-4471-heron")
        command = command.replace("http://localhost:8000", stack.url)
        words = shlex.split(command.replace("YOUR_JWT_TOKEN", token))
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    assert '"email":"test@example.com"' in run(register)
    [token] = re.findall('"access_token":"([^"]+)"', run(login))
    answer = run(message, token)
    [cost] = re.findall('"cost_usd":"([^"]+)"', answer)
    assert '"role":"assistant"' in answer
    assert Decimal(cost) > 0


def test_every_service_runs_and_nothing_else(stack: Stack):
    found = stack.containers()

    assert set(found) == RUNNING
    for name, container in found.items():
        assert container["State"]["Health"]["Status"] == "healthy", name
        assert container["HostConfig"]["ReadonlyRootfs"], name
        assert container["HostConfig"]["CapDrop"] == ["ALL"], name
        assert container["RestartCount"] == 0, name
        assert container["Config"]["User"], name


def test_a_database_elsewhere_needs_no_postgres_of_ours(stack: Stack):
    urls = ("DATABASE_URL", "LETTA_PG_URI", "LITELLM_DATABASE_URL")
    for name in urls:
        stack.set(**{name: f"postgresql://user:password@db.example.com/{name}"})

    override = ("-f", "docker-compose.yml", "-f", "docker-compose.external-db.yml")
    told = json.loads(stack.compose(*override, "config", "--format", "json"))

    services = told["services"]
    assert set(services) == (RUNNING | ONCE) - {"postgres", "databases"}
    assert services["server"]["environment"]["DATABASE_URL"].endswith("/DATABASE_URL")
    assert services["letta"]["environment"]["LETTA_PG_URI"].endswith("/LETTA_PG_URI")
    assert "db.example.com" in services["litellm-migrate"]["environment"]["DATABASE_URL"]
    for name, service in services.items():
        assert not {"postgres", "databases"} & set(service.get("depends_on") or ()), name


def test_only_the_servers_port_is_open_to_this_machine(stack: Stack):
    published = {
        (binding["HostIp"], int(binding["HostPort"]))
        for container in stack.containers().values()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }

    assert published == {("127.0.0.1", stack.port)}
    assert {ip for ip, port in listening_addresses() if port == stack.port} == {"127.0.0.1"}


def test_letta_reaches_the_proxy_and_its_database_and_nothing_else(stack: Stack):
    places = ("server:8000", "postgres:5432", "litellm:4000", "demo-model:8100", "redis:6379")
    addresses = [
        f"{network['IPAddress']}:{port}"
        for name, port in (("litellm", 4000), ("demo-model", 8100), ("redis", 6379))
        for network in stack.containers()[name]["NetworkSettings"]["Networks"].values()
    ]

    reached = stack.run_in(
        *("letta", "python", "-c", TRIES_TO_CONNECT, *places, *addresses, "192.0.2.1:443"),
    )

    assert reached.split() == ["server:8000", "postgres:5432"]


def test_litellms_questions_about_calls_have_their_indexes(stack: Stack):
    query = "select indexname from pg_indexes where tablename = 'LiteLLM_SpendLogs'"
    found = {name for (name,) in stack.rows("litellm", query)}

    assert {
        "LiteLLM_SpendLogs_api_key_startTime_idx",
        "LiteLLM_SpendLogs_litellm_call_id_idx",
    } <= found


def test_lettas_role_enters_no_other_database(stack: Stack):
    [[rights]] = stack.rows(
        "postgres",
        "select string_agg(r.rolname || '>' || d.datname, ' ' order by 1) from pg_roles r,"
        " pg_database d where not rolsuper and r.rolname not like 'pg\\_%' and datallowconn"
        " and d.datname not like 'template%'"
        " and has_database_privilege(r.rolname, d.datname, 'connect')",
    )

    assert set(rights.split()) == {"letta>letta", "litellm>litellm", "platform>platform"}


def test_a_person_signs_up_and_chats_in_a_browser(stack: Stack, page: Page):
    ada = Visitor(page, stack.url)
    ada.email = f"browser-{ada.email}"
    ada.sign_up("Ada")

    answer = ada.ask("Remember that my locker code is 4471.")
    asked = ada.ask("What is my locker code?")

    expect(answer).to_be_visible()
    expect(asked).to_contain_text("4471")


@pytest.mark.parametrize("service", sorted(RUNNING))
def test_a_killed_service_loses_no_message_and_no_cent(stack: Stack, service: str):
    people = [stack.person(f"{name}-{service}") for name in ("Alice", "Bob")]
    for person in people:
        person.say("Hello!")
    turns = [person.begin("Write a text of 300 words.") for person in people]

    stack.kill(service)
    stack.up()
    stack.wait_until_ready()

    for person, turn_id in zip(people, turns, strict=True):
        turn = person.wait_for_end(turn_id, seconds=90)
        assert turn["messages"][0]["content"] == "Write a text of 300 words."
        assert turn["status"] == "finished" or turn["error"]["code"]
        assert person.say("Are you back?")["message"]["content"]
    _ensure_books_agree(stack, people)


def test_down_and_up_keep_accounts_memory_and_spending(stack: Stack):
    alice = stack.person("Alice-stays")
    alice.say("Remember that my bicycle is red.")
    spent = alice.get("/user/usage")["totals"]["cost_usd"]

    stack.down()
    stack.up()
    alice = stack.person("Alice-stays")

    assert alice.get("/user/usage")["totals"]["cost_usd"] == spent
    assert "red" in alice.say("What is my bicycle?")["message"]["content"]
    ended = stack.compose("ps", "-a", "--format", "{{.Service}} {{.ExitCode}}").splitlines()
    assert {f"{name} 0" for name in ONCE} <= set(ended)


def test_no_log_has_a_secret_or_a_message(stack: Stack):
    stack.person("Logged").say("My heliotrope is secret.")

    logs = stack.compose("logs", "--no-color")

    secrets = [line.partition("=")[2] for line in stack.env_file.read_text().splitlines()]
    assert not [secret for secret in secrets if len(secret) > 20 and secret in logs]
    assert "heliotrope" not in logs


def _ensure_books_agree(stack: Stack, people: list[Person]) -> None:
    """No call stays open; what LiteLLM booked for an account, the ledger has charged to it."""
    for person in people:
        [[open_calls, charged]] = stack.rows(
            "platform",
            "select count(*) filter (where state = 'dispatched'), sum(cost_nano_usd)"
            f" from model_calls where account_id = '{person.id}'",
        )
        [[gateway]] = stack.rows(
            "litellm",
            'select coalesce(round(sum(spend)::numeric * 1e9), 0) from "LiteLLM_SpendLogs"'
            f" where \"user\" = '{person.id}'",
        )
        assert open_calls == "0"
        assert int(gateway) <= int(charged)
        told = person.get("/user/usage")["totals"]["cost_usd"]
        assert int(Decimal(told).scaleb(9)) == int(charged)
