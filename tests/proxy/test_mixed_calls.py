"""1,000 calls of all kinds and faults through the proxy and the real LiteLLM with its database."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlmodel import select

from chat_platform.adapters.litellm import admin_client, open_gateway
from chat_platform.billing import budgets
from chat_platform.billing.reconciliation import reconcile
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall
from chat_platform.ports import SpendRecord
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import CallId, new_id
from tests.ledger_entries import Payer, new_payer, start_turn
from tests.litellm_rig import LiteLlmRig
from tests.proxy.fake_upstream import (
    DONE,
    USAGE,
    Answer,
    FakeUpstream,
    Received,
    completion,
    embedding,
    error,
    event,
    stream,
)

pytestmark = [pytest.mark.rig, pytest.mark.slow, pytest.mark.timeout(900)]

ACCOUNTS = 20
CALLS = 1000
LEAVES_AFTER_SECONDS = 2
AT_ONCE = 24
FAULTS = ("500", "429", "slow", "cut", "silence", "malformed", "leave")
FIRST_TRY = {"x-stainless-retry-count": "0"}
"""As Letta's client sends it, so that calls with the same words are not retries."""
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def answer_as_told(request: Received) -> Answer:
    """Answer as the call's text says: `fault:<name> <words>`."""
    if request.path.endswith("/embeddings"):
        return embedding()
    body = request.json
    _, _, fault = body["messages"][-1]["content"].partition("fault:")
    answer_id = f"chatcmpl-{new_id()}"
    if fault in ("500", "429"):
        return error(int(fault), "told_to_fail")
    if fault == "slow":
        return replace(completion(cost=None), hang_seconds=30)
    if not body.get("stream"):
        return replace(completion(cost=None, id=answer_id), hang_seconds=0.3 * (fault == "leave"))
    return _stream(answer_id, body, fault)


def _stream(answer_id: str, body: dict[str, Any], fault: str) -> Answer:
    base = {"id": answer_id, "object": "chat.completion.chunk", "created": 1, "model": "m"}
    words = [
        event({**base, "choices": [{"index": 0, "delta": {"content": f"w{i} "}}]}) for i in range(4)
    ]
    if fault == "cut":
        return stream(*words[:2], is_cut=True, pause_seconds=0.02)
    if fault == "silence":
        return stream(*words, pause_seconds=30)
    if fault == "malformed":
        return stream(words[0], b'data: {"choices": [\n\n', *words[1:], DONE)
    end = event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = [event({**base, "choices": [], "usage": USAGE})]
    return stream(*words, end, *usage, DONE, pause_seconds=0.2 if fault == "leave" else 0)


@pytest.fixture
async def upstream(litellm_rig: LiteLlmRig) -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream(choose=answer_as_told).serving(litellm_rig.upstream_port) as upstream:
        yield upstream


@pytest.fixture
def settings(settings: Settings, litellm_rig: LiteLlmRig) -> Settings:
    return litellm_rig.settings(settings).model_copy(
        update={"proxy_first_byte_timeout_seconds": 30.0, "proxy_silence_timeout_seconds": 1.5}
    )


@pytest.fixture
async def ctx(ctx: AppContext, settings: Settings) -> AsyncIterator[AppContext]:
    async with admin_client(settings) as http:
        yield replace(ctx, billing=open_gateway(settings, http))


async def _make_call(proxy: httpx.AsyncClient, payer: Payer, dice: random.Random) -> None:
    kind = dice.choices(["plain", "tools", "stream", "quiet stream", "embedding"], k=1)[0]
    if kind == "embedding":
        body: dict[str, Any] = {"model": "demo-embedding", "input": ["some text"]}
        url = f"{payer.agent_id}/embeddings"
        await proxy.post(url, json=body, timeout=60, headers=FIRST_TRY)
        return
    fault = dice.choice(FAULTS) if dice.random() < 0.3 else "none"
    body = {
        "model": "demo-chat",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": f"fault:{fault}"}],
    }
    if kind == "tools":
        body["tools"] = TOOLS
    if "stream" in kind:
        body["stream"] = True
    if kind == "stream":
        body["stream_options"] = {"include_usage": True}
    # Who leaves does so once the call is on its way, however busy the machine is.
    timeout = httpx.Timeout(60, read=LEAVES_AFTER_SECONDS if fault == "leave" else 60)
    with suppress(httpx.ReadTimeout):
        url = f"{payer.agent_id}/chat/completions"
        await proxy.post(url, json=body, timeout=timeout, headers=FIRST_TRY)


async def _rows(ctx: AppContext) -> list[ModelCall]:
    async with reading(ctx.engine) as session:
        return list(await session.exec(select(ModelCall)))


async def _booked(ctx: AppContext, payers: list[Payer], since_ms: int) -> dict[CallId, SpendRecord]:
    records: dict[CallId, SpendRecord] = {}
    for payer in payers:
        found = await ctx.billing.spend(payer.account_id, since_ms=since_ms, until_ms=now_ms())
        records |= {record.call_id: record for record in found or ()}
    return records


@pytest.mark.parametrize("proxy", ["main port"], indirect=True)
async def test_a_thousand_mixed_calls_are_booked_as_litellm_books_them(
    ctx: AppContext, proxy: httpx.AsyncClient, upstream: FakeUpstream
):
    began_ms = now_ms()
    payers = [await new_payer(ctx, f"person-{n}") for n in range(ACCOUNTS)]
    for payer in payers:
        await start_turn(ctx, payer)
    dice = random.Random(20260101)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(payer: Payer) -> None:
        async with room:
            await _make_call(proxy, payer, dice)

    await asyncio.gather(*(one(payers[n % ACCOUNTS]) for n in range(CALLS)))
    for _ in range(30):
        await asyncio.sleep(2)
        done = await reconcile(ctx)
        unsure = [row for row in await _rows(ctx) if row.cost_source in ("estimated", "pending")]
        if not unsure and not done.expired:
            break
    rows, booked = await _rows(ctx), await _booked(ctx, payers, began_ms)

    assert len(rows) == CALLS
    assert {row.state for row in rows} == {"settled", "failed", "cancelled"}
    assert sum(row.state == "settled" for row in rows) > CALLS / 2
    for row in rows:
        record = booked.get(row.id)
        if row.state == "settled":
            assert record is not None, row
        if record is None:
            assert row.cost_source == "estimated", row
        else:
            assert row.cost_nano_usd == record.cost_nano_usd, (row, record)
    for payer in payers:
        spent = sum(row.cost_nano_usd for row in rows if row.account_id == payer.account_id)
        budget = await budgets.budget_of(ctx, payer.account_id)
        assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (spent, 0)
