"""What passes through the proxy, and what the ledger records of it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall
from chat_platform.proxy.app import create_proxy
from chat_platform.values.ids import TurnId
from tests.contexts import GLOBAL_KEY
from tests.ledger_entries import Payer, start_turn
from tests.proxy.fake_upstream import (
    COST,
    DONE,
    USAGE_CHUNK,
    Answer,
    FakeUpstream,
    chunk,
    completion,
    embedding,
    error,
    event,
    stream,
    whole_stream,
)
from tests.waiting import eventually, eventually_found

CHAT: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
    "some_future_field": {"x": 1},
}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
EMBED = {"model": "demo-embedding", "input": ["Hi"], "encoding_format": "base64"}


@pytest.fixture(autouse=True)
async def turn(ctx: AppContext, agent: Payer) -> TurnId:
    return await start_turn(ctx, agent)


async def _post(
    proxy: httpx.AsyncClient, agent: Payer, body: dict[str, Any], path: str = "chat/completions"
) -> httpx.Response:
    return await proxy.post(f"{agent.agent_id}/{path}", json=body)


async def _settled(ctx: AppContext, count: int = 1) -> list[ModelCall]:
    """Return the ledger when all its calls have ended."""

    async def find() -> list[ModelCall] | None:
        async with reading(ctx.engine) as session:
            query = select(ModelCall).order_by(col(ModelCall.started_at_ms), col(ModelCall.id))
            rows = list(await session.exec(query))
        is_over = len(rows) >= count and all(row.state != "dispatched" for row in rows)
        return rows if is_over else None

    return await eventually_found(find)


async def test_a_plain_answer_passes_unchanged_and_is_charged_as_the_header_says(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, turn: str
):
    upstream.answers = [completion("Hello", system_fingerprint="fp-1")]
    sent = upstream.answers[0].pieces[0]

    answer = await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (answer.status_code, answer.content) == (200, sent)
    assert (row.state, row.cost_nano_usd, row.cost_source) == ("settled", COST, "header")
    assert (row.prompt_tokens, row.completion_tokens) == (12, 5)
    assert (row.turn_id, row.kind, row.model) == (turn, "chat", "demo-chat")
    assert (row.response_id, row.gateway_call_id) == ("chatcmpl-1", "litellm-1")


async def test_the_body_goes_on_byte_for_byte(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    body = b'{ "messages":[],  "model" : "demo-chat", "odd": 1.10 }'

    await proxy.post(f"{agent.agent_id}/chat/completions", content=body)

    assert upstream.received[0].path == "/v1/chat/completions"
    assert upstream.received[0].body == body


async def test_upstream_sees_the_accounts_key_and_whose_call_it_is(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, turn: str
):
    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    headers = upstream.received[0].headers
    assert headers["authorization"] == f"Bearer sk-fake-{agent.account_id}-1"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-litellm-call-id"] == row.id
    assert json.loads(headers["x-litellm-spend-logs-metadata"]) == {
        "call_id": row.id,
        "account_id": agent.account_id,
        "turn_id": turn,
    }


async def test_litellms_own_headers_are_taken_out(proxy: httpx.AsyncClient, agent: Payer):
    answer = await _post(proxy, agent, CHAT)

    assert not [name for name in answer.headers if name.startswith("x-litellm")]


async def test_a_stream_passes_unchanged_and_is_charged_as_its_last_chunk_says(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [whole_stream("Hel", "lo")]
    sent = b"".join(upstream.answers[0].pieces)

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert answer.content == sent
    assert answer.headers["content-type"] == "text/event-stream"
    assert (row.state, row.cost_nano_usd, row.cost_source) == ("settled", COST, "stream")
    assert row.first_byte_ms is not None


async def test_pieces_of_a_stream_pass_as_they_come(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [
        stream(chunk("a"), chunk("b"), chunk(finish="stop"), DONE, pause_seconds=0.15)
    ]
    times: list[float] = []
    url = f"{agent.agent_id}/chat/completions"

    async with proxy.stream("POST", url, json=STREAM) as answer:
        async for _ in answer.aiter_raw():
            times.append(asyncio.get_running_loop().time())

    assert len(times) == 4
    assert times[-1] - times[0] > 0.3


async def test_usage_is_asked_for_and_its_chunk_taken_out_where_the_caller_did_not_ask(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [whole_stream()]
    sent = b"".join(upstream.answers[0].pieces)

    answer = await _post(proxy, agent, {**CHAT, "stream": True})

    [row] = await _settled(ctx)
    assert upstream.received[0].json["stream_options"] == {"include_usage": True}
    assert answer.content == sent.replace(USAGE_CHUNK, b"")
    assert row.cost_nano_usd == COST


TEXT_OF_1000_TOKENS = "x" * 4000
UNCOUNTED = event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}})


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk(TEXT_OF_1000_TOKENS), chunk(finish="stop"), DONE],
        [chunk(TEXT_OF_1000_TOKENS), chunk(finish="stop"), UNCOUNTED, DONE],
        [chunk(TEXT_OF_1000_TOKENS)],
    ],
    ids=["without usage", "usage of zeros", "cut"],
)
async def test_what_was_written_is_paid_where_nobody_counted_it(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    pieces: list[bytes],
):
    upstream.answers = [stream(*pieces)]

    await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert (row.completion_tokens, row.cost_source) == (1000, "estimated")
    assert row.cost_nano_usd > 1000 * 2500


async def test_a_plain_answer_that_nobody_counted_is_paid_by_its_text(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(TEXT_OF_1000_TOKENS, cost=None, usage=None)]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (row.state, row.completion_tokens, row.cost_source) == ("settled", 1000, "estimated")


@pytest.mark.parametrize("is_apart", [False, True], ids=["same piece", "own piece"])
async def test_usage_after_the_last_word_counts(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, is_apart: bool
):
    ending = [chunk(finish="stop") + DONE, USAGE_CHUNK]
    pieces = [chunk("Hi"), *(ending if is_apart else [b"".join(ending)])]
    upstream.answers = [stream(*pieces, pause_seconds=0.05)]

    await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert (row.state, row.cost_nano_usd, row.cost_source) == ("settled", COST, "stream")


async def test_an_answer_of_odd_types_ends_with_an_error_event(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [stream(chunk("Hi"), event({"choices": True}), chunk(finish="stop"), DONE)]

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert b'"code":"broken_answer"' in answer.content
    assert (row.state, row.error_code) == ("failed", "broken_answer")


async def test_embeddings_pass_and_are_a_kind_of_their_own(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [embedding()]

    answer = await _post(proxy, agent, EMBED, "embeddings")

    [row] = await _settled(ctx)
    assert answer.status_code == 200
    assert (row.kind, row.cost_nano_usd, row.prompt_tokens) == ("embedding", 60, 3)


async def test_a_cost_that_litellm_does_not_tell_is_listed_until_it_does(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(cost=None)]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (row.cost_source, row.cost_nano_usd) == ("pending", 12 * 300 + 5 * 2500)


async def test_a_negative_cost_mints_no_credit(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(cost="-5")]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (row.cost_source, row.cost_nano_usd) == ("pending", 16_100)


@pytest.mark.parametrize("cost", ["1e12", "NaN", "inf", "-inf", "1e400", "", "x"])
async def test_a_cost_beyond_all_measure_is_no_cost(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, cost: str
):
    upstream.answers = [completion(cost=cost)]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (row.cost_source, row.cost_nano_usd) == ("pending", 16_100)


@pytest.mark.parametrize("count", [2**63, 2**31, -5, True, "7", None, 1.5, [], {}])
async def test_tokens_beyond_all_measure_are_not_counted(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, count: object
):
    upstream.answers = [completion(cost=None, usage={"prompt_tokens": count, "cost": count})]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert row.state == "settled"
    assert 0 < row.prompt_tokens < 1000


async def test_a_gateways_odd_names_are_stored_as_far_as_they_can_be(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(id="a\0b" + "c" * 1000)]

    await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert row.response_id
    assert row.response_id.startswith("abc")
    assert len(row.response_id) <= 200


@pytest.mark.parametrize(("status", "kind"), [(500, "internal_server_error"), (400, "bad")])
async def test_litellms_errors_pass_and_are_rows_that_cost_nothing(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    status: int,
    kind: str,
):
    upstream.answers = [error(status, kind)]

    answer = await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert (row.state, row.cost_nano_usd, row.error_code) == ("failed", 0, kind)
    assert row.upstream_status == status


async def test_a_rate_limit_keeps_its_retry_after(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(429, "throttling_error", **{"retry-after": "60"})]

    answer = await _post(proxy, agent, CHAT)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


@pytest.mark.parametrize("status", [401, 403])
async def test_refusals_of_the_billing_key_say_nothing_of_it(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, status: int
):
    upstream.answers = [error(status, "auth_error", "Key sk-fa...1a, hash = " + "ab" * 32)]

    answer = await _post(proxy, agent, CHAT)

    assert answer.status_code == status
    assert answer.json()["error"]["message"] == "The billing gateway refused the call."


async def test_keys_are_taken_out_of_other_errors(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(500, "boom", "sk-acct-1234 and " + "ab" * 32)]

    answer = await _post(proxy, agent, CHAT)

    assert answer.json()["error"]["message"] == "[key] and [key]"


async def test_litellms_own_budget_answers_like_ours(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(422, "budget_exceeded")]

    answer = await _post(proxy, agent, CHAT)

    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_quota")


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk("Hel"), chunk("lo")],
        [chunk("Hello"), DONE],
        [chunk("Hello"), b'data: {"choi\n\n', chunk(finish="stop"), DONE],
        [chunk("Hello"), b'data: {"choi'],
    ],
    ids=["no end", "no finish reason", "malformed", "cut inside an event"],
)
async def test_a_broken_stream_can_be_told_from_a_success(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    pieces: list[bytes],
):
    upstream.answers = [stream(*pieces)]

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    last = answer.content.rstrip().rpartition(b"\n\n")[2]
    assert answer.content.startswith(b"".join(pieces))
    assert json.loads(last[6:])["error"]["code"] == "broken_answer"
    assert (row.state, row.cost_source, row.error_code) == ("failed", "estimated", "broken_answer")
    assert row.completion_tokens == 2
    assert row.cost_nano_usd > 0


async def test_a_cut_connection_is_a_failure_with_what_was_used_until_then(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [stream(chunk("Hel"), chunk("lo"), is_cut=True)]

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert b'"code":"broken_answer"' in answer.content
    assert (row.state, row.completion_tokens) == ("failed", 2)


async def test_an_error_event_is_passed_once_and_is_a_failure(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    broken = event({"error": {"message": "upstream went away", "code": 500}})
    upstream.answers = [stream(chunk("Hel"), broken)]

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    assert answer.content == chunk("Hel") + broken
    assert (row.state, row.error_code) == ("failed", "error_event")


async def test_a_cut_plain_answer_is_a_bad_gateway(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [Answer([b'{"id":'], is_cut=True)]

    answer = await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "broken_answer")
    assert row.state == "failed"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": "x", "choices": []}'])
async def test_a_success_without_an_answer_is_a_failure(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, body: bytes
):
    upstream.answers = [Answer([body], headers={"x-litellm-response-cost": "1e-6"})]

    answer = await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    assert answer.status_code == 502
    assert (row.state, row.cost_nano_usd) == ("failed", 1000)


@pytest.mark.parametrize("status", [101, 201, 202, 204, 206, 301, 302, 304, 307])
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
async def test_an_answer_that_no_model_gave_costs_nothing(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    status: int,
    body: dict[str, Any],
):
    is_empty = status in (101, 204, 304)
    headers = {"connection": "upgrade", "upgrade": "x"} if status == 101 else {}
    upstream.answers = [Answer([] if is_empty else [b"{}"], status=status, headers=headers)]

    answer = await _post(proxy, agent, body)

    [row] = await _settled(ctx)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "broken_answer")
    assert (row.state, row.cost_nano_usd, row.upstream_status) == ("failed", 0, status)


async def test_no_answer_in_time_is_a_gateway_timeout(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [Answer([b"{}"], hang_seconds=30)]

    answer = await _post(proxy, agent, CHAT)

    [row] = await _settled(ctx)
    await asyncio.wait_for(upstream.left.wait(), 1)
    assert (answer.status_code, row.error_code) == (504, "gateway_timeout")
    assert row.cost_source == "estimated"


async def test_silence_in_a_stream_ends_it_as_a_failure(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [stream(chunk("Hel"), chunk("lo"), pause_seconds=30)]

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    await asyncio.wait_for(upstream.left.wait(), 1)
    assert b'"code":"gateway_timeout"' in answer.content
    assert (row.state, row.completion_tokens) == ("failed", 1)


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
async def test_the_callers_leaving_closes_upstream_at_once(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    body: dict[str, Any],
):
    pieces = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), DONE]
    slow_stream = stream(*pieces, pause_seconds=0.4)
    upstream.answers = [slow_stream if body is STREAM else Answer([b"{}"], hang_seconds=0.4)]
    has_begun = asyncio.Event()
    if body is CHAT:
        upstream.on_request = lambda _: has_begun.set()

    async def call() -> None:
        url = f"{agent.agent_id}/chat/completions"
        async with proxy.stream("POST", url, json=body) as answer:
            async for _ in answer.aiter_raw():
                has_begun.set()

    calling = asyncio.create_task(call())
    await has_begun.wait()
    calling.cancel()

    await asyncio.wait_for(upstream.left.wait(), 0.3)
    [row] = await _settled(ctx)
    assert (row.state, row.error_code) == ("cancelled", "caller_gone")
    assert row.cost_source == "estimated"


async def test_a_caller_that_hangs_up_after_the_last_word_has_a_whole_answer(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    everything = chunk("Hello") + chunk(finish="stop") + USAGE_CHUNK + DONE
    upstream.answers = [stream(everything, b": bye\n\n", pause_seconds=0.4)]

    async with proxy.stream("POST", f"{agent.agent_id}/chat/completions", json=STREAM) as answer:
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                break

    [row] = await _settled(ctx)
    assert (row.state, row.cost_nano_usd, row.cost_source) == ("settled", COST, "stream")


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """Return the address of a gateway whose host silently accepts no more connections."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_a_call_that_ends_before_it_was_sent_costs_nothing(
    ctx: AppContext, agent: Payer, turn: TurnId, full_backlog: str
):
    settings = ctx.settings.model_copy(update={"litellm_base_url": full_backlog})
    ctx = replace(ctx, settings=settings)
    app = create_proxy()
    headers = {"Authorization": f"Bearer {GLOBAL_KEY}"}
    transport, url = httpx.ASGITransport(app), f"http://test/api/v1/llm-proxy/{agent.agent_id}/"
    async with (
        app.serving(ctx),
        httpx.AsyncClient(transport=transport, base_url=url, headers=headers) as client,
    ):
        calling = asyncio.create_task(client.post("chat/completions", json=CHAT))
        # Its turn is known once its intent is committed, and from then on it is being sent.
        await eventually(lambda: any(call.turn_id for call in ctx.open_calls))
        ctx.open_calls.abort(turn)
        await calling
        [row] = await _settled(ctx)

    assert (row.state, row.error_code, row.cost_nano_usd) == ("cancelled", "turn_cancelled", 0)


async def test_a_cancelled_turns_call_ends_at_once_and_says_so(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, turn: TurnId
):
    upstream.answers = [stream(chunk("Hel"), chunk("lo"), pause_seconds=0.4)]
    upstream.on_request = lambda _: asyncio.get_running_loop().call_later(
        0.1, ctx.open_calls.abort, turn
    )

    answer = await _post(proxy, agent, STREAM)

    [row] = await _settled(ctx)
    await asyncio.wait_for(upstream.left.wait(), 1)
    assert b'"code":"turn_cancelled"' in answer.content
    assert (row.state, row.error_code) == ("cancelled", "turn_cancelled")


async def test_every_call_that_is_made_anew_is_a_row_of_its_own(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(500, "boom"), error(500, "boom"), completion()]

    for number in range(3):
        await _post(proxy, agent, {**CHAT, "user": f"{number}"})

    rows = await _settled(ctx, 3)
    assert [row.state for row in rows] == ["failed", "failed", "settled"]
    assert sum(row.cost_nano_usd for row in rows) == COST
