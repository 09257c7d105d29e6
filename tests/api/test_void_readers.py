"""When a credential ends while an answer is being sent, nothing more of it is sent."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from chat_platform.accounts.shut_out import LOOK_SECONDS, end_void_readers
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Account, ApiToken
from chat_platform.process.background import Routine, running
from chat_platform.turns.unwelcome import cancel_unwelcome
from chat_platform.values.ids import TurnId
from tests.fakes import FakeRuntime
from tests.people import PASSWORD, Person
from tests.turn_talk import events_of, turn_row
from tests.waiting import eventually

MESSAGE = "/api/v1/chat/message"
ONLY_THE_SIGN_IN = (
    "signed out",
    "sign-in ended",
    "password changed",
    "token revoked",
    "token expired",
)
THE_ACCOUNT = ("disabled", "deleted")


@pytest.fixture
async def looked_after(ctx: AppContext) -> AsyncIterator[None]:
    """What the running server does every half second."""
    looks = (end_void_readers, cancel_unwelcome)
    routines = [Routine(look.__name__, LOOK_SECONDS, partial(look, ctx)) for look in looks]
    async with running(*routines):
        yield


@pytest.fixture
async def reading(
    client: httpx.AsyncClient, ctx: AppContext, alice: Person, runtime: FakeRuntime, kind: str
) -> AsyncIterator["Reading"]:
    reading = Reading(client, alice, await credential_for(client, alice, kind))
    runtime.gate = asyncio.Event()
    await reading.begin()
    await eventually(lambda: ctx.open_readers.credentials)
    yield reading
    await reading.leave()


class Reading:
    """A person's three ways of waiting for the same running turn."""

    def __init__(self, client: httpx.AsyncClient, person: Person, headers: dict[str, str]) -> None:
        self._client, self.person, self.headers = client, person, headers
        self.turn_id = TurnId("")
        self._waits: list[asyncio.Task[httpx.Response]] = []

    async def begin(self) -> None:
        body, key = {"content": "Hello"}, {"Idempotency-Key": "one"}
        headers = self.headers | key
        started = await self._client.post(
            MESSAGE, json=body, headers=headers | {"Prefer": "respond-async"}
        )
        self.turn_id = TurnId(started.json()["turn_id"])
        events = f"/api/v1/chat/turns/{self.turn_id}/events"
        sse = headers | {"Accept": "text/event-stream"}
        self._waits = [
            asyncio.create_task(self._client.post(MESSAGE, json=body, headers=headers)),
            asyncio.create_task(self._client.post(MESSAGE, json=body, headers=sse)),
            asyncio.create_task(self._client.get(events, headers=self.headers)),
        ]

    async def answers(self) -> list[httpx.Response]:
        """Return what arrived, all of it within a second."""
        async with asyncio.timeout(1):
            return await asyncio.gather(*self._waits)

    @property
    def is_over(self) -> bool:
        return any(wait.done() for wait in self._waits)

    async def leave(self) -> None:
        for wait in self._waits:
            wait.cancel()
        await asyncio.gather(*self._waits, return_exceptions=True)


async def credential_for(client: httpx.AsyncClient, person: Person, kind: str) -> dict[str, str]:
    if kind.startswith("token"):
        new = {"name": "script", "scopes": ["chat"]}
        made = await client.post("/api/v1/user/tokens", json=new, headers=person.headers)
        return {"Authorization": f"Bearer {made.json()['token']}"}
    return person.browser_headers if kind == "signed out" else person.headers


async def end(ctx: AppContext, client: httpx.AsyncClient, reading: Reading, kind: str) -> None:
    """End the credential; through another door, or another process, if possible."""
    person = reading.person
    if kind == "signed out":
        done = await client.post("/api/v1/session/logout", headers=person.browser_headers)
    elif kind == "sign-in ended":
        url = "/api/v1/user/sign-ins"
        listed = (await client.get(url, headers=person.browser_headers)).json()["sign_ins"]
        (other,) = [s["id"] for s in listed if s["kind"] == "api"]
        done = await client.delete(f"{url}/{other}", headers=person.browser_headers)
    elif kind == "password changed":
        change = {"current": PASSWORD, "new": "another correct horse"}
        done = await client.post(
            "/api/v1/user/password", json=change, headers=person.browser_headers
        )
    elif kind == "token revoked":
        url = "/api/v1/user/tokens"
        (token,) = (await client.get(url, headers=person.headers)).json()["tokens"]
        done = await client.delete(f"{url}/{token['id']}", headers=person.headers)
    elif kind == "deleted":
        done = await client.request(
            "DELETE", "/api/v1/user", json={"password": PASSWORD}, headers=person.headers
        )
    else:
        async with transaction(ctx.engine) as session:
            change = (
                update(Account).where(col(Account.id) == person.id).values(disabled_at_ms=1)
                if kind == "disabled"
                else update(ApiToken).values(expires_at_ms=1)
            )
            await session.exec(change)
        return
    assert done.is_success or done.is_redirect, done.text


@pytest.mark.usefixtures("looked_after")
@pytest.mark.parametrize("kind", [*ONLY_THE_SIGN_IN, *THE_ACCOUNT])
async def test_every_wait_is_over_a_second_after_its_credential_ended(
    ctx: AppContext, client: httpx.AsyncClient, reading: Reading, kind: str
):
    await end(ctx, client, reading, kind)

    as_json, *streams = await reading.answers()

    assert as_json.status_code in ((401,) if kind in ONLY_THE_SIGN_IN else (401, 404, 409))
    assert all("turn.started" in stream.text for stream in streams)
    assert not any("turn.completed" in stream.text for stream in streams)


@pytest.mark.usefixtures("looked_after")
@pytest.mark.parametrize("kind", ONLY_THE_SIGN_IN)
async def test_the_turn_itself_goes_on_for_the_person(
    ctx: AppContext, client: httpx.AsyncClient, runtime: FakeRuntime, reading: Reading, kind: str
):
    await end(ctx, client, reading, kind)
    await reading.answers()

    assert runtime.gate
    runtime.gate.set()

    assert (await events_of(ctx, reading.person, reading.turn_id))[-1].type == "turn.completed"


@pytest.mark.usefixtures("looked_after")
@pytest.mark.parametrize("kind", ["disabled"])
async def test_a_disabled_accounts_turn_is_stopped(
    ctx: AppContext, client: httpx.AsyncClient, reading: Reading, kind: str
):
    await end(ctx, client, reading, kind)

    async with asyncio.timeout(2):
        last = (await events_of(ctx, reading.person, reading.turn_id))[-1]

    assert last.type == "turn.cancelled"
    assert (await turn_row(ctx, reading.person, reading.turn_id)).status == "cancelled"


@pytest.mark.parametrize("kind", ["signed out"])
async def test_who_is_still_signed_in_reads_on(
    ctx: AppContext, client: httpx.AsyncClient, reading: Reading, bob: Person, kind: str
):
    await client.post("/api/v1/session/logout", headers=bob.browser_headers)

    await end_void_readers(ctx)
    await asyncio.sleep(0)

    assert not reading.is_over


@pytest.mark.parametrize("kind", ["signed out"])
async def test_nothing_is_remembered_of_a_reader_that_left(
    ctx: AppContext, reading: Reading, kind: str
):
    await reading.leave()

    assert ctx.open_readers.credentials == []
