"""A request that an agent server retries shares its first attempt: one call, booked once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlmodel import col, select
from structlog.testing import capture_logs
from structlog.typing import EventDict

from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import ModelCall, Turn
from chat_platform.proxy.single_flight import (
    KEEP_SECONDS,
    MAX_ANSWER_BYTES,
    MAX_KEPT,
    MAX_KEPT_BYTES,
    Flight,
    FlightKey,
    Flights,
)
from chat_platform.values.ids import AgentId
from tests.ledger_entries import Payer, new_payer, start_turn
from tests.proxy.fake_upstream import FakeUpstream, completion, embedding, error, whole_stream
from tests.waiting import eventually, eventually_found

CHAT: dict[str, Any] = {"model": "demo-chat", "max_tokens": 100, "messages": []}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
KEY = FlightKey(AgentId("agent-alice"), "chat/completions", b"{}")


@pytest.fixture(autouse=True)
async def turn(ctx: AppContext, agent: Payer) -> str:
    return await start_turn(ctx, agent)


async def _post(
    proxy: httpx.AsyncClient, agent: Payer, body: dict[str, Any] = CHAT, *, tries: int | None = None
) -> httpx.Response:
    path = "embeddings" if "input" in body else "chat/completions"
    headers = {} if tries is None else {"x-stainless-retry-count": str(tries)}
    return await proxy.post(f"{agent.agent_id}/{path}", json=body, headers=headers)


def _is_shared(logs: Sequence[EventDict]) -> bool:
    """Tell whether a request has begun to follow another's attempt."""
    return any(entry["event"] == "proxy.shared" for entry in logs)


async def _rows(ctx: AppContext) -> list[ModelCall]:
    async with reading(ctx.engine) as session:
        return list(await session.exec(select(ModelCall)))


async def test_a_repetition_follows_the_attempt_that_is_still_open(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    slow = completion()
    slow.hang_seconds = 0.3
    upstream.answers = [slow]

    first, second = await asyncio.gather(_post(proxy, agent), _post(proxy, agent))

    assert first.content == second.content
    assert len(upstream.received) == len(await _rows(ctx)) == 1


async def test_a_repetition_of_a_stream_has_its_beginning_replayed_and_follows_the_rest(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [whole_stream("a", "b", "c")]
    upstream.answers[0].pause_seconds = 0.1
    sent = b"".join(upstream.answers[0].pieces)
    url = f"{agent.agent_id}/chat/completions"

    async with proxy.stream("POST", url, json=STREAM) as first:
        pieces = first.aiter_raw()
        begun = await anext(pieces)
        second = asyncio.create_task(_post(proxy, agent, STREAM))
        whole = begun + b"".join([piece async for piece in pieces])

    assert whole == sent == (await second).content
    assert len(upstream.received) == len(await _rows(ctx)) == 1


async def test_the_call_goes_on_for_the_repetition_when_its_first_caller_leaves(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [whole_stream("a", "b", "c")]
    upstream.answers[0].pause_seconds = 0.3
    sent = b"".join(upstream.answers[0].pieces)
    url = f"{agent.agent_id}/chat/completions"

    async with proxy.stream("POST", url, json=STREAM) as first:
        await anext(first.aiter_raw())
        with capture_logs() as logs:
            second = asyncio.create_task(_post(proxy, agent, STREAM))
            await eventually(lambda: _is_shared(logs))

    assert (await second).content == sent
    [row] = await _rows(ctx)
    assert (row.state, row.cost_source) == ("settled", "stream")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_failure_is_told_again_and_not_made_again(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, status: int
):
    upstream.answers = [error(status, "boom")]
    tries = [await _post(proxy, agent, tries=n) for n in range(3)]

    assert [answer.status_code for answer in tries] == [status] * 3
    assert len({answer.content for answer in tries}) == 1
    assert len(upstream.received) == len(await _rows(ctx)) == 1


async def test_an_answer_that_made_no_sense_is_not_paid_again(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(choices=[])]

    tries = [await _post(proxy, agent) for _ in range(3)]

    assert [answer.status_code for answer in tries] == [502] * 3
    assert len(upstream.received) == len(await _rows(ctx)) == 1


@pytest.mark.parametrize("answer", [completion, lambda: error(400, "context_length_exceeded")])
async def test_what_succeeded_or_was_wrong_is_asked_anew(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, answer: Any
):
    upstream.answers = [answer(), completion("Again")]

    await _post(proxy, agent)
    again = await _post(proxy, agent)

    assert "Again" in again.text
    assert len(upstream.received) == 2


async def test_who_says_that_it_is_the_first_try_is_believed(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(500, "boom"), completion()]

    await _post(proxy, agent)

    assert (await _post(proxy, agent, tries=0)).status_code == 200


async def test_who_was_told_when_to_come_again_is_heard_then(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(429, "throttling_error", **{"retry-after": "1"}), completion()]

    statuses = [(await _post(proxy, agent)).status_code for _ in range(2)]

    async def is_heard() -> bool:
        return (await _post(proxy, agent)).status_code == 200

    assert statuses == [429, 429]
    assert await eventually_found(is_heard, seconds=KEEP_SECONDS - 1, pause_seconds=0.1)


async def test_another_turn_asks_for_itself(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, turn: str
):
    upstream.answers = [error(500, "boom"), completion()]
    await _post(proxy, agent)
    async with transaction(ctx.engine) as session:
        (await session.get_one(Turn, turn)).status = "failed"
    await start_turn(ctx, agent)

    assert (await _post(proxy, agent)).status_code == 200


async def test_bobs_agent_never_gets_what_alices_was_answered(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    bob = await new_payer(ctx, "bob")
    await start_turn(ctx, bob)
    slow = completion("for Alice")
    slow.hang_seconds = 0.2
    upstream.answers = [slow, completion("for Bob")]

    has_asked = asyncio.Event()
    upstream.on_request = lambda _: has_asked.set()

    first = asyncio.create_task(_post(proxy, agent))
    await has_asked.wait()
    second = await _post(proxy, bob)

    assert "for Bob" in second.text
    assert "for Alice" in (await first).text
    accounts = {row.account_id for row in await _rows(ctx)}
    assert accounts == {agent.account_id, bob.account_id}


async def test_a_stop_ends_the_attempt_and_who_follows_it(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, turn: Any
):
    slow = completion()
    slow.hang_seconds = 5
    upstream.answers = [slow]
    with capture_logs() as logs:
        calls = [asyncio.create_task(_post(proxy, agent)) for _ in range(2)]
        await eventually(lambda: upstream.received and _is_shared(logs))

    ctx.open_calls.abort(turn)

    assert [(await call).status_code for call in calls] == [403, 403]


async def test_embeddings_that_are_repeated_are_paid_once(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    slow = embedding()
    slow.hang_seconds = 0.3
    upstream.answers = [slow]
    body = {"model": "demo-embedding", "input": ["Hi"]}

    answers = await asyncio.gather(*(_post(proxy, agent, body) for _ in range(3)))

    assert {answer.status_code for answer in answers} == {200}
    async with reading(ctx.engine) as session:
        kinds = list(await session.exec(select(col(ModelCall.kind))))
    assert kinds == ["embedding"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def _ignore(message: Any) -> None:
    return None


async def _answered(flights: Flights, key: Any, status: int, body: bytes, send: Any = _ignore):
    flight = flights.take_off(key, send)
    flight.paid(None)
    error: BaseException | None = None
    try:
        await flight.send({"type": "http.response.start", "status": status, "headers": []})
        await flight.send({"type": "http.response.body", "body": body})
    except ConnectionError as lost:
        error = lost
    flights.land(key, flight, error)
    return flight


async def test_a_failure_is_forgotten_after_its_time():
    clock = Clock()
    flights = Flights(clock)
    await _answered(flights, KEY, 500, b"boom")

    assert flights.find(KEY, is_first_try=False)
    clock.now += KEEP_SECONDS
    assert flights.find(KEY, is_first_try=False) is None


async def test_what_is_kept_is_bounded():
    flights = Flights(Clock())
    keys = [KEY._replace(body=b"%d" % n + b"y" * 50_000) for n in range(MAX_KEPT + 100)]
    for key in keys:
        await _answered(flights, key, 500, b"x" * 50_000)

    found = [flights.find(key, is_first_try=False) for key in keys]

    kept = [flight for flight in found if flight]
    assert 100 <= len(kept) <= MAX_KEPT
    assert sum(flight.size + 50_000 for flight in kept) <= MAX_KEPT_BYTES


async def test_a_long_answer_is_not_held_for_others():
    flight = Flight(_ignore)
    await flight.send({"type": "http.response.start", "status": 200, "headers": []})
    assert flight.can_be_followed

    await flight.send({"type": "http.response.body", "body": b"x" * (MAX_ANSWER_BYTES + 1)})

    assert not flight.can_be_followed


async def test_a_good_answer_that_was_lost_on_the_way_is_given_out_once():
    flights = Flights(Clock())

    async def lose_the_body(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionError

    flight = await _answered(flights, KEY, 200, b"paid", lose_the_body)

    assert flights.find(KEY, is_first_try=True) is None
    assert flights.find(KEY, is_first_try=False) is flight
    assert flights.find(KEY, is_first_try=False) is None


async def test_a_good_answer_that_arrived_is_not_kept():
    flights = Flights(Clock())

    await _answered(flights, KEY, 200, b"paid")

    assert flights.find(KEY, is_first_try=False) is None
