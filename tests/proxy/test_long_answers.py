"""An answer that never ends, or takes too long to read, ends its call, which is still charged."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlmodel import select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall
from chat_platform.proxy.sse import MAX_EVENT_BYTES
from chat_platform.settings import Settings
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
    stream,
)
from tests.stalls import TOO_LONG_SECONDS, watched_loop

MOST_BYTES = 300_000
CHAT: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
}
EMBED = {"model": "demo-embedding", "input": ["Hi"]}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
ENDLESS = [b"x" * 64_000] * 500


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"proxy_max_answer_bytes": MOST_BYTES})


@pytest.fixture(autouse=True)
async def turn(ctx: AppContext, agent: Payer) -> None:
    await start_turn(ctx, agent)


async def booked(ctx: AppContext) -> ModelCall:
    """Return the only call, which is settled when its answer's last byte arrives."""
    await ctx.writer.write(lambda _connection: None)
    async with reading(ctx.engine) as session:
        return (await session.exec(select(ModelCall))).one()


async def ask(
    proxy: httpx.AsyncClient, agent: Payer, body: dict[str, Any], path: str = "chat/completions"
) -> httpx.Response:
    return await proxy.post(f"{agent.agent_id}/{path}", json=body)


async def test_an_endless_line_ends_the_stream_with_an_error_and_is_booked_as_a_cut_call(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [stream(chunk("Hello"), *ENDLESS)]

    answer = await ask(proxy, agent, STREAM)

    row = await booked(ctx)
    passed, _, told = answer.content.rstrip().rpartition(b"\n\n")
    assert passed + b"\n\n" == chunk("Hello")
    assert json.loads(told[6:])["error"]["code"] == "answer_too_long"
    assert (row.state, row.error_code) == ("failed", "answer_too_long")
    assert (row.cost_source, row.cost_nano_usd > 0) == ("estimated", True)
    assert row.completion_tokens > MAX_EVENT_BYTES / 4
    await asyncio.wait_for(upstream.left.wait(), 5)


async def test_countless_empty_events_give_everybody_else_their_turn(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [stream(chunk("Hello"), b"\n" * 1_000_000)]

    async with watched_loop() as stalls:
        await ask(proxy, agent, STREAM)

    assert stalls.busy_seconds < TOO_LONG_SECONDS


async def test_an_endless_line_after_the_last_word_does_no_harm(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    whole = [chunk("Hello"), chunk(finish="stop"), USAGE_CHUNK, DONE]
    upstream.answers = [stream(*whole, *ENDLESS)]

    answer = await ask(proxy, agent, STREAM)

    row = await booked(ctx)
    assert answer.content == b"".join(whole)
    assert (row.state, row.cost_nano_usd) == ("settled", COST)


@pytest.mark.parametrize("cost", ["5.48e-05", None])
async def test_a_plain_answer_over_the_limit_is_refused_for_good_and_paid(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    cost: str | None,
):
    upstream.answers = [completion("x" * 2 * MOST_BYTES, cost=cost)]

    answer = await ask(proxy, agent, CHAT)

    row = await booked(ctx)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert answer.json()["error"]["code"] == "answer_too_long"
    assert (row.state, row.error_code) == ("failed", "answer_too_long")
    assert row.cost_nano_usd == COST if cost else row.completion_tokens > MOST_BYTES / 4


async def test_a_plain_answer_up_to_the_limit_passes(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion("x" * (MOST_BYTES - 1_000))]

    answer = await ask(proxy, agent, CHAT)

    assert len(answer.json()["choices"][0]["message"]["content"]) == MOST_BYTES - 1_000


async def test_a_short_answer_that_takes_long_to_read_is_not_read(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [Answer([b"[" * 200_000])]

    answer = await ask(proxy, agent, CHAT)

    row = await booked(ctx)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "answer_too_long")
    assert row.cost_nano_usd > 0


async def test_an_embedding_over_the_limit_is_not_charged_as_if_it_were_written(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [embedding()]
    upstream.answers[0].pieces = [b" " * 2 * MOST_BYTES]

    answer = await ask(proxy, agent, EMBED, "embeddings")

    row = await booked(ctx)
    assert answer.status_code == 502
    assert row.completion_tokens == 0
    assert row.cost_nano_usd > 0


async def test_an_error_without_end_is_not_read_to_its_end(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(500, "boom", "sk-1 " * MOST_BYTES)]

    answer = await ask(proxy, agent, CHAT)

    row = await booked(ctx)
    assert answer.json()["error"]["code"] == "answer_too_long"
    assert (row.state, row.cost_nano_usd) == ("failed", 0)
