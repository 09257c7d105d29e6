"""`/api/v1/chat`: messages and turns, as the contract says."""

import asyncio
import json

import httpx
import pytest

from chat_platform.context import AppContext
from chat_platform.errors import BudgetSpent, PlatformBudgetSpent, Unavailable, UpstreamFailed
from chat_platform.ports import StepChanged, TextPiece
from chat_platform.turns.recovery import drain
from chat_platform.values.ids import TurnId
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.turn_talk import events_of, talk
from tests.waiting import eventually

MESSAGE = "/api/v1/chat/message"


async def send(
    client: httpx.AsyncClient, person: Person, content: str = "Hello", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(MESSAGE, json={"content": content}, headers=person.headers | named)


def events_in(stream: str) -> list[tuple[int, str, dict[str, object]]]:
    """Read server-sent events as a browser does, ignoring comments and `retry`."""
    events: list[tuple[int, str, dict[str, object]]] = []
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


async def test_a_message_is_answered_in_the_contracts_shape(
    client: httpx.AsyncClient, alice: Person
):
    response = await send(client, alice)

    assert response.status_code == 200
    body = response.json()
    assert body["message"]["role"] == "assistant"
    assert body["message"]["content"] == "You said: Hello"
    assert body["message"]["turn_id"] == body["turn_id"]
    assert body["usage"] == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "model_calls": 0,
        "cost_usd": "0.000000000",
        "pending_calls": 0,
    }


async def test_a_message_may_be_followed_as_events(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    step = StepChanged("memory_edit", "memory_insert", "done", "human")
    runtime.script.append([TextPiece("Hi "), step, TextPiece("there")])

    response = await send(client, alice, accept="text/event-stream")

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text.startswith("retry: ")
    events = events_in(response.text)
    assert [name for _, name, _ in events] == [
        "turn.started",
        "message.delta",
        "step",
        "message.delta",
        "message.completed",
        "turn.completed",
    ]
    assert events[2][2] == {
        "kind": "memory_edit",
        "name": "memory_insert",
        "status": "done",
        "detail": "human",
    }


async def test_events_are_replayed_after_the_last_event_id(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    whole = await talk(ctx, alice)
    url = f"/api/v1/chat/turns/{whole[0].data['turn_id']}/events"
    headers = alice.headers | {"Last-Event-ID": str(whole[1].number)}

    response = await client.get(url, headers=headers)

    assert [number for number, _, _ in events_in(response.text)] == [e.number for e in whole[2:]]


@pytest.mark.parametrize("last_event_id", ["", "abc", "-1", "٣", "9" * 40])
async def test_an_odd_last_event_id_means_from_the_start(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext, last_event_id: str
):
    whole = await talk(ctx, alice)
    url = f"/api/v1/chat/turns/{whole[0].data['turn_id']}/events"
    headers = alice.headers | {"Last-Event-ID": last_event_id.encode()}

    response = await client.get(url, headers=headers)  # type: ignore[arg-type]

    assert len(events_in(response.text)) == len(whole)


async def test_a_reader_that_has_seen_the_end_gets_an_empty_stream(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    whole = await talk(ctx, alice)
    url = f"/api/v1/chat/turns/{whole[0].data['turn_id']}/events"

    response = await client.get(url, headers=alice.headers | {"Last-Event-ID": "999"})

    assert events_in(response.text) == []


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("Text/Event-Stream", "text/event-stream; charset=utf-8"),
        ("text/event-stream;q=0.9, application/json;q=0.1", "text/event-stream; charset=utf-8"),
        ("text/event-stream;q=0", "application/json"),
        ("text/event-stream;q=0.1, application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_a_reply_streams_to_who_would_rather_have_it_so(
    client: httpx.AsyncClient, alice: Person, accept: str, media_type: str
):
    response = await send(client, alice, accept=accept)

    assert (response.status_code, response.headers["content-type"]) == (200, media_type)


async def test_a_reply_may_be_fetched_later(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    response = await send(client, alice, prefer="respond-async")

    assert response.status_code == 202
    turn_id = response.json()["turn_id"]
    await events_of(ctx, alice, TurnId(turn_id))
    shown = (await client.get(response.headers["location"], headers=alice.headers)).json()
    assert shown["status"] == "finished"
    assert [message["content"] for message in shown["messages"]] == ["Hello", "You said: Hello"]


async def test_the_same_key_gives_the_same_reply(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    answers = await asyncio.gather(
        *(send(client, alice, idempotency_key="key-1") for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(runtime.posted) == 1


async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient, alice: Person):
    await send(client, alice, "One", idempotency_key="key-1")

    response = await send(client, alice, "Two", idempotency_key="key-1")

    assert response.status_code == 409
    assert response.json()["code"] == "idempotency_key_reused"


async def test_a_second_message_while_a_turn_runs_names_the_turn(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    running = (await send(client, alice, prefer="respond-async")).json()["turn_id"]

    response = await send(client, alice)

    assert response.status_code == 409
    assert response.json()["code"] == "turn_running"
    assert response.json()["turn_id"] == running


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ("", 422, "message_empty"),
        ("   ", 422, "message_empty"),
        ("x" * 20_001, 413, "message_too_long"),
        ("a\0b", 422, "message_invalid"),
    ],
)
async def test_what_is_no_message_is_refused(
    client: httpx.AsyncClient, alice: Person, content: str, status: int, code: str
):
    response = await send(client, alice, content)

    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_body_without_content_is_refused(client: httpx.AsyncClient, alice: Person):
    response = await client.post(MESSAGE, json={"text": "Hello"}, headers=alice.headers)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "content"


@pytest.mark.parametrize("body", ["{bad", "[]", '"text"', "null", '{"content": 5}'])
async def test_what_is_no_object_with_a_text_names_the_field(
    client: httpx.AsyncClient, alice: Person, body: str
):
    headers = alice.headers | {"Content-Type": "application/json"}

    response = await client.post(MESSAGE, content=body, headers=headers)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "validation_failed")
    assert problem["errors"][0]["field"] == ("content" if "content" in body else "body")


async def test_the_longest_message_is_taken(client: httpx.AsyncClient, alice: Person):
    response = await send(client, alice, "я" * 20_000)

    assert response.status_code == 200


async def test_half_a_surrogate_pair_is_refused(client: httpx.AsyncClient, alice: Person):
    body = b'{"content": "a\\ud800b"}'
    headers = alice.headers | {"Content-Type": "application/json"}

    response = await client.post(MESSAGE, content=body, headers=headers)

    assert response.status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BudgetSpent("Your budget is spent."), 402, "budget_spent"),
        (PlatformBudgetSpent("Everybody's is."), 402, "platform_budget_spent"),
        (UpstreamFailed("The model failed.", code="model_failed"), 502, "model_failed"),
        (Unavailable("Away.", code="agent_unavailable"), 503, "agent_unavailable"),
        (RuntimeError("internals"), 500, "internal_error"),
    ],
)
async def test_a_failed_turn_answers_with_its_problem_and_keeps_the_message(
    client: httpx.AsyncClient,
    alice: Person,
    runtime: FakeRuntime,
    error: Exception,
    status: int,
    code: str,
):
    runtime.script.append([TextPiece("I beg"), error])

    response = await send(client, alice, "Help")

    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (status, code)
    turn = await client.get(
        f"/api/v1/chat/turns/{response.json()['turn_id']}", headers=alice.headers
    )
    assert turn.json()["error"]["code"] == code
    kept = [(m["content"], m["status"]) for m in turn.json()["messages"]]
    assert kept == [("Help", "failed"), ("I beg", "partial")]


async def test_a_turn_may_be_stopped(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    started = await send(client, alice, prefer="respond-async", idempotency_key="key-1")
    turn_id = started.json()["turn_id"]
    waiting = asyncio.create_task(send(client, alice, idempotency_key="key-1"))

    response = await client.post(f"/api/v1/chat/turns/{turn_id}/cancel", headers=alice.headers)

    assert response.status_code == 202
    answer = await waiting
    assert (answer.status_code, answer.json()["code"]) == (409, "turn_cancelled")


async def test_a_draining_server_takes_no_message(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    ctx.running_turns.draining.set()

    response = await send(client, alice)

    assert (response.status_code, response.json()["code"]) == (503, "restarting")
    assert response.headers["retry-after"]


async def test_a_draining_server_sends_readers_of_events_away(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime, ctx: AppContext
):
    runtime.gate = asyncio.Event()
    turn_id, url = await begun(client, alice)
    stream = asyncio.create_task(client.get(url, headers=alice.headers))
    await eventually(lambda: ctx.turn_feed._listeners.get(turn_id, ()))

    ctx.running_turns.draining.set()

    text = (await stream).text
    assert text.startswith("retry: ")
    assert not any(name == "turn.failed" for _, name, _ in events_in(text))


async def test_a_draining_server_answers_those_who_wait_if_their_turn_still_ends(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime, ctx: AppContext
):
    runtime.gate = asyncio.Event()
    turn_id, _ = await begun(client, alice)
    waiting = asyncio.create_task(send(client, alice, idempotency_key="key-1"))
    await eventually(lambda: ctx.turn_feed._listeners.get(turn_id, ()))
    draining = asyncio.create_task(drain(ctx, grace_seconds=5))
    await eventually(ctx.running_turns.draining.is_set)

    runtime.gate.set()

    answer = await waiting
    assert (answer.status_code, answer.json()["turn_id"]) == (200, turn_id)
    await draining


async def test_a_server_that_stops_sends_those_who_wait_away_with_the_turns_id(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime, ctx: AppContext
):
    runtime.gate = asyncio.Event()
    turn_id, _ = await begun(client, alice)
    waiting = asyncio.create_task(send(client, alice, idempotency_key="key-1"))
    await eventually(lambda: ctx.turn_feed._listeners.get(turn_id, ()))

    await drain(ctx, grace_seconds=0.05)

    answer = await waiting
    assert (answer.status_code, answer.json()["code"]) == (503, "restarting")
    assert answer.json()["turn_id"] == turn_id


async def begun(client: httpx.AsyncClient, person: Person) -> tuple[TurnId, str]:
    """Begin a turn under the key `key-1`; return its id and the address of its events."""
    started = await send(client, person, prefer="respond-async", idempotency_key="key-1")
    turn_id = TurnId(started.json()["turn_id"])
    return turn_id, f"/api/v1/chat/turns/{turn_id}/events"


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/events"), ("POST", "/cancel")])
async def test_bob_gets_404_for_alices_turn(
    client: httpx.AsyncClient, alice: Person, bob: Person, ctx: AppContext, method: str, path: str
):
    turn_id = (await talk(ctx, alice))[0].data["turn_id"]

    response = await client.request(
        method, f"/api/v1/chat/turns/{turn_id}{path}", headers=bob.headers
    )

    assert response.status_code == 404


async def test_a_stranger_cannot_talk(client: httpx.AsyncClient):
    response = await client.post(MESSAGE, json={"content": "Hi"})

    assert response.status_code == 401
