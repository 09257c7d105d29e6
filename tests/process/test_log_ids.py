"""Every line says whose request, turn or call it is about, and none says what anybody wrote."""

import io
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import insert

from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import UpstreamFailed
from chat_platform.models import Account
from chat_platform.ports import MemoryBlock
from chat_platform.process.background import Routine, running
from chat_platform.settings import Settings
from chat_platform.values.ids import AgentId
from tests.fakes import FakeMemory, FakeRuntime
from tests.log_text import events_in, lines_of, logging_into_text
from tests.people import PASSWORD, Person
from tests.waiting import eventually

SECRET = "quartz zebra"
HOSTILE = f'{SECRET}\n{{"event": "everything.is_lost"}}\r\x1b[2K\u202e {{0}} %s'
MESSAGE = "/api/v1/chat/message"


@pytest.fixture
def log_text(settings: Settings) -> Iterator[io.StringIO]:
    """What production logs."""
    with logging_into_text(settings.model_copy(update={"environment": "production"})) as text:
        yield text


class QuotingError(Exception):
    """A library's error that quotes what it was given."""


async def send(client: httpx.AsyncClient, person: Person, text: str = HOSTILE) -> httpx.Response:
    return await client.post(MESSAGE, json={"content": text}, headers=person.headers)


async def test_a_message_leaves_its_ids_in_the_log_and_nothing_of_itself(
    client: httpx.AsyncClient, alice: Person, log_text: io.StringIO
):
    answer = await send(client, alice)

    [request] = events_in(log_text, "request.ended")
    [turn] = events_in(log_text, "turn.ended")
    told = {"account_id": alice.id, "turn_id": answer.json()["turn_id"]}
    assert answer.status_code == 200
    assert told.items() <= request.items()
    assert told.items() <= turn.items()
    assert turn["request_id"] == request["request_id"]
    assert (request["method"], request["route"], request["status"]) == ("POST", MESSAGE, 200)
    assert_silent(log_text, alice)


async def test_a_failing_turn_is_told_without_what_its_error_quotes(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime, log_text: io.StringIO
):
    failing = UpstreamFailed("The model failed.", code="model_failed")
    failing.__cause__ = QuotingError(f"422: {HOSTILE} of {alice.account.email}")
    runtime.script.append([failing])

    answer = await send(client, alice)

    [broken] = events_in(log_text, "turn.broke")
    [ended] = events_in(log_text, "turn.ended")
    assert (broken["account_id"], broken["turn_id"]) == (alice.id, answer.json()["turn_id"])
    assert broken["error"] == ended["error"] == "model_failed"
    assert "QuotingError" in broken["exception"]
    assert_silent(log_text, alice)


class BrokenMemory(FakeMemory):
    async def blocks(self, agent_id: AgentId) -> list[MemoryBlock]:
        raise QuotingError(HOSTILE)


class TestWithABrokenMemory:
    @pytest.fixture
    def memory(self) -> FakeMemory:
        return BrokenMemory()

    async def test_a_broken_request_has_the_id_that_its_answer_names(
        self, client: httpx.AsyncClient, alice: Person, log_text: io.StringIO
    ):
        await send(client, alice)

        answer = await client.get("/api/v1/agent/memory", headers=alice.headers)

        [broken] = events_in(log_text, "request.failed")
        ended = events_in(log_text, "request.ended")[-1]
        assert answer.status_code == ended["status"] == 500
        assert broken["request_id"] == ended["request_id"] == answer.json()["request_id"]
        assert broken["account_id"] == alice.id
        assert_silent(log_text, alice)


async def test_ids_of_one_request_are_not_in_the_next_ones_lines(
    client: httpx.AsyncClient, alice: Person, log_text: io.StringIO
):
    await send(client, alice)

    await client.get("/api/v1/nowhere/" + SECRET)

    stranger = events_in(log_text, "request.ended")[-1]
    assert (stranger["route"], stranger["status"]) == ("other", 404)
    assert not {"account_id", "turn_id"} & set(stranger)
    assert_silent(log_text, alice)


async def test_who_only_asks_for_health_is_not_logged(
    client: httpx.AsyncClient, log_text: io.StringIO
):
    answer = await client.get("/api/v1/health/ready")

    assert answer.status_code == 200
    assert lines_of(log_text) == []


async def test_what_the_database_refuses_is_not_quoted(
    ctx: AppContext, alice: Person, log_text: io.StringIO
):
    twice = Account(email=alice.account.email, auth_provider="embedded", auth_subject=HOSTILE)

    async def register_twice() -> None:
        async with transaction(ctx.engine) as session:
            await session.execute(insert(Account).values(**twice.model_dump()))

    async with running(Routine("register_twice", 60, register_twice)):
        await eventually(lambda: "routine.failed" in log_text.getvalue())

    [failed] = events_in(log_text, "routine.failed")
    assert "IntegrityError" in failed["exception"]
    assert_silent(log_text, alice)


def assert_silent(log_text: io.StringIO, person: Person) -> None:
    """Check that nothing in the log was written by a person, or names or admits one."""
    text = log_text.getvalue()
    keys = (person.access_token, person.refresh_token, person.cookie, PASSWORD)
    for word in (SECRET, "everything.is_lost", person.account.email, "Alice", *keys):
        assert word not in text
