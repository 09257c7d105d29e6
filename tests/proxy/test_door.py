"""Who may call the proxy, for what, and how it refuses: always in OpenAI's error shape."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlmodel import select

from chat_platform.billing import account_keys, budgets, ledger
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account, ModelCall
from chat_platform.proxy.payers import Payers
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from tests.fakes import FakeGateway
from tests.ledger_entries import CENT, Payer, intent, opened, settlement, start_turn
from tests.proxy.fake_upstream import FakeUpstream, completion, embedding, error
from tests.waiting import eventually

CHAT: dict[str, Any] = {"model": "demo-chat", "max_tokens": 10, "messages": []}
EMBED: dict[str, Any] = {"model": "demo-embedding", "input": "Hi"}


def _code(answer: httpx.Response) -> tuple[int, str]:
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, answer.json()["error"]["code"]


async def _chat(proxy: httpx.AsyncClient, agent: Payer, **changes: Any) -> httpx.Response:
    return await proxy.post(f"{agent.agent_id}/chat/completions", json={**CHAT, **changes})


async def _embed(proxy: httpx.AsyncClient, agent: Payer) -> httpx.Response:
    return await proxy.post(f"{agent.agent_id}/embeddings", json=EMBED)


async def _ledger(ctx: AppContext) -> list[ModelCall]:
    async with reading(ctx.engine) as session:
        return list(await session.exec(select(ModelCall)))


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer sk-other", "Basic eA==", "Bearer ключ"])
async def test_only_the_agent_servers_key_opens_the_proxy(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream, key: str
):
    headers = {b"Authorization": key.encode()}

    answer = await proxy.post(f"{agent.agent_id}/chat/completions", json=CHAT, headers=headers)

    assert _code(answer) == (401, "invalid_api_key")
    assert upstream.received == []


class TestWithoutAKey:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"letta_global_api_key": SecretStr("")})

    async def test_nobody_is_let_in(self, proxy: httpx.AsyncClient, agent: Payer):
        answer = await proxy.get(f"{agent.agent_id}/test", headers={"Authorization": ""})

        assert _code(answer) == (401, "invalid_api_key")


async def test_paths_and_methods_are_as_the_contract_says(proxy: httpx.AsyncClient, agent: Payer):
    assert _code(await proxy.post(f"{agent.agent_id}/models", json={})) == (404, "not_found")
    assert _code(await proxy.get(f"{agent.agent_id}/embeddings")) == (405, "method_not_allowed")
    assert _code(await proxy.post(f"{agent.agent_id}/test")) == (405, "method_not_allowed")


async def test_a_wrong_method_is_told_the_right_one(proxy: httpx.AsyncClient, agent: Payer):
    assert (await proxy.get(f"{agent.agent_id}/embeddings")).headers["allow"] == "POST"
    assert (await proxy.post(f"{agent.agent_id}/test")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "methods"),
    [("chat/completions", "POST"), ("embeddings", "POST"), ("test", "GET, HEAD")],
)
async def test_every_path_tells_its_methods(
    proxy: httpx.AsyncClient, agent: Payer, path: str, methods: str
):
    url = f"{agent.agent_id}/{path}"
    wrong = [m for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") if m not in methods]

    asked = await proxy.options(url)
    refused = [await proxy.request(method, url) for method in wrong]

    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, methods, b"")
    assert {(a.status_code, a.headers["allow"]) for a in refused} == {(405, methods)}


async def test_head_tells_whether_there_is_such_an_agent_and_opens_no_account(
    proxy: httpx.AsyncClient, agent: Payer, gateway: FakeGateway
):
    known = await proxy.head(f"{agent.agent_id}/test")
    unknown = await proxy.head("agent-nobody/test")
    stranger = await proxy.head(f"{agent.agent_id}/test", headers={"Authorization": ""})

    assert [a.status_code for a in (known, unknown, stranger)] == [200, 404, 401]
    assert (known.content, known.headers["content-type"]) == (b"", "application/json")
    assert gateway.versions == {}


async def test_a_slash_at_the_end_changes_nothing(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [completion(), embedding()]

    answers = [
        await proxy.post(f"{agent.agent_id}/chat/completions/", json=CHAT),
        await proxy.post(f"{agent.agent_id}/embeddings/", json=EMBED),
        await proxy.get(f"{agent.agent_id}/test/"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize("path", ["chat/completions", "embeddings"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_what_is_no_json_is_told_what_to_send(
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    path: str,
    headers: dict[str, str],
):
    answer = await proxy.post(f"{agent.agent_id}/{path}", content=b"{}", headers=headers)

    assert _code(answer) == (415, "unsupported_media_type")
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert upstream.received == []


@pytest.mark.parametrize("media_type", ["", "Application/JSON; charset=utf-8"])
async def test_json_is_read_under_its_names_and_without_one(
    proxy: httpx.AsyncClient, agent: Payer, media_type: str
):
    headers = {"Content-Type": media_type} if media_type else {}
    content = json.dumps(CHAT).encode()

    answer = await proxy.post(
        f"{agent.agent_id}/chat/completions", content=content, headers=headers
    )

    assert answer.status_code == 200


async def test_an_agent_that_nobody_has_is_not_found(
    proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    answer = await proxy.post("agent-nobody/chat/completions", json=CHAT)

    assert _code(answer) == (404, "agent_not_found")
    assert upstream.received == []


async def test_models_are_limited_to_the_configured_ones(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer
):
    answer = await _chat(proxy, agent, model="gpt-9")

    assert _code(answer) == (403, "model_not_allowed")
    assert await _ledger(ctx) == []


async def test_a_model_without_a_price_is_refused(
    proxy: httpx.AsyncClient, agent: Payer, gateway: FakeGateway, upstream: FakeUpstream
):
    del gateway.price_list["demo-chat"]

    answer = await _chat(proxy, agent)

    assert _code(answer) == (403, "model_not_allowed")
    assert "no price" in answer.json()["error"]["message"]
    assert upstream.received == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"model": 7}'])
async def test_what_is_no_request_is_refused(proxy: httpx.AsyncClient, agent: Payer, body: bytes):
    answer = await proxy.post(f"{agent.agent_id}/chat/completions", content=body)

    assert _code(answer) == (400, "invalid_request")


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_over_the_limit_is_refused(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, is_declared: bool
):
    object.__setattr__(ctx.settings, "proxy_max_body_bytes", 2000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 1000

    content = b" " * 3000 if is_declared else pieces()
    answer = await proxy.post(f"{agent.agent_id}/chat/completions", content=content)

    assert _code(answer) == (413, "request_too_large")


async def test_a_spent_budget_stops_the_call_before_it_is_sent(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    await budgets.set_limit(ctx, agent.account_id, limit_nano_usd=0)

    answer = await _chat(proxy, agent)

    assert _code(answer) == (402, "insufficient_quota")
    assert answer.json()["error"]["type"] == "insufficient_quota"
    assert "renews at" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert upstream.received == []


@pytest.mark.parametrize(
    ("cap", "words"),
    [
        ("platform_budget", "An administrator can raise the limit."),
        ("platform_daily_budget", "T00:00:00.000Z."),
    ],
)
async def test_the_platforms_limit_stops_the_call_before_it_is_sent(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    upstream: FakeUpstream,
    cap: str,
    words: str,
):
    object.__setattr__(ctx.settings, cap, "0")
    await start_turn(ctx, agent)

    answer = await _chat(proxy, agent)
    test = await proxy.get(f"{agent.agent_id}/test")

    assert _code(answer) == (402, "insufficient_quota")
    assert answer.json()["error"]["type"] == "insufficient_quota"
    assert "This whole platform" in answer.json()["error"]["message"]
    assert "the person's own budget is not affected" in answer.json()["error"]["message"]
    assert answer.json()["error"]["message"].endswith(words)
    assert answer.headers["x-should-retry"] == "false"
    assert test.json()["budget"] == "platform_spent"
    assert upstream.received == []


async def test_the_second_of_four_steps_is_the_last_when_the_budget_runs_out(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    # After two calls less is left than the next one's prompt and a short answer cost.
    await budgets.set_limit(ctx, agent.account_id, limit_nano_usd=2 * 54_800 + 20_000)
    upstream.answers = [completion() for _ in range(4)]

    statuses = [(await _chat(proxy, agent)).status_code for _ in range(4)]

    budget = await budgets.budget_of(ctx, agent.account_id)
    assert statuses == [200, 200, 402, 402]
    assert len(upstream.received) == 2
    assert budget.spent_nano_usd == 2 * 54_800


async def test_an_answer_may_be_as_long_as_what_is_left_pays_for(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    body = json.dumps({"model": "demo-chat", "max_tokens": 5000, "messages": []}).encode()
    limit = len(body) * 300 + 1000 * 2500
    await budgets.set_limit(ctx, agent.account_id, limit_nano_usd=limit)

    await proxy.post(f"{agent.agent_id}/chat/completions", content=body)

    [row] = await _ledger(ctx)
    assert upstream.received[0].json == {**json.loads(body), "max_tokens": 1000}
    assert row.reserved_nano_usd == limit


async def test_a_stream_is_limited_too_and_still_asked_for_its_usage(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    body = json.dumps({"model": "demo-chat", "stream": True, "messages": []}).encode()
    limit = len(body) * 300 + 1000 * 2500
    await budgets.set_limit(ctx, agent.account_id, limit_nano_usd=limit)

    await proxy.post(f"{agent.agent_id}/chat/completions", content=body)

    sent = upstream.received[0].json
    assert (sent["max_tokens"], sent["stream_options"]) == (1000, {"include_usage": True})


async def test_a_call_is_refused_where_not_even_a_short_answer_is_left(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    await budgets.set_limit(ctx, agent.account_id, limit_nano_usd=40_000)

    chat, embedded = await _chat(proxy, agent, max_tokens=100), await _embed(proxy, agent)

    assert _code(chat) == (402, "insufficient_quota")
    assert embedded.status_code == 200
    assert [received.path for received in upstream.received] == ["/v1/embeddings"]


async def test_a_disabled_account_makes_no_call(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer
):
    assert (await _chat(proxy, agent)).status_code == 200
    async with transaction(ctx.engine) as session:
        (await session.get_one(Account, agent.account_id)).disabled_at_ms = now_ms()

    assert _code(await _chat(proxy, agent)) == (403, "account_disabled")


async def test_a_replaced_key_is_used_from_the_next_call_on(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await _chat(proxy, agent)
    await account_keys.replace_key(ctx, agent.account_id)

    answer = await _chat(proxy, agent)

    keys = [received.headers["authorization"] for received in upstream.received]
    assert answer.status_code == 200
    assert [key[-2:] for key in keys] == ["-1", "-2"]


async def test_too_many_calls_of_an_account_are_refused_at_once(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    object.__setattr__(ctx.settings, "proxy_max_calls_per_account", 2)
    slow = completion()
    slow.hang_seconds = 0.3
    upstream.answers = [slow, slow]

    # Each asks something different: the same request would count as a retry.
    answers = await asyncio.gather(*(_chat(proxy, agent, user=f"{n}") for n in range(5)))

    codes = sorted(answer.status_code for answer in answers)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert codes == [200, 200, 429, 429, 429]
    assert refused.headers["retry-after"] == "1"


async def test_a_failing_embedding_model_is_given_a_pause(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    await start_turn(ctx, agent)
    upstream.answers = [error(500, "boom")] * 36

    answers = [await _embed(proxy, agent) for _ in range(36)]

    assert answers[0].status_code == 500
    assert {_code(answer) for answer in answers[1:]} == {(503, "embeddings_failing")}
    assert len(upstream.received) == 1
    assert len(await _ledger(ctx)) == 1


async def test_a_failing_embedding_model_does_not_stop_the_chat(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer, upstream: FakeUpstream
):
    upstream.answers = [error(500, "boom"), completion(), embedding()]

    await _embed(proxy, agent)

    assert (await _chat(proxy, agent)).status_code == 200


async def test_the_test_route_says_whether_calls_would_be_made(
    ctx: AppContext, proxy: httpx.AsyncClient, agent: Payer
):
    fine = await proxy.get(f"{agent.agent_id}/test")
    entry = intent(ctx, agent)
    await start_turn(ctx, agent)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 500 * CENT))
    spent = await proxy.get(f"{agent.agent_id}/test")

    assert fine.json() == {
        "agent_id": agent.agent_id,
        "status": "ok",
        "billing": "ok",
        "budget": "ok",
    }
    assert spent.json()["budget"] == "spent"


async def test_the_test_route_tells_of_a_gateway_that_is_down(
    proxy: httpx.AsyncClient, agent: Payer, gateway: FakeGateway
):
    await proxy.get(f"{agent.agent_id}/test")
    gateway.is_down = True

    answer = await proxy.get(f"{agent.agent_id}/test")

    assert _code(answer) == (503, "billing_unavailable")


async def test_many_first_calls_ask_for_one_key(
    ctx: AppContext,
    proxy: httpx.AsyncClient,
    agent: Payer,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
):
    await start_turn(ctx, agent)
    asked: list[AccountId] = []
    find, make = Payers.of_agent, gateway.open_account
    seekers = 0

    async def count_seekers(*whose: Any) -> Any:
        nonlocal seekers
        seekers += 1
        return await find(*whose)

    async def count(account_id: AccountId, *, key_version: int) -> str:
        asked.append(account_id)
        await eventually(lambda: seekers == 8)
        return await make(account_id, key_version=key_version)

    monkeypatch.setattr(Payers, "of_agent", count_seekers)
    gateway.open_account = count  # type: ignore[method-assign]
    answers = await asyncio.gather(*(_chat(proxy, agent) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 1


class TestNetworks:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"proxy_allowed_networks": "10.0.0.0/8"})

    async def test_other_networks_are_refused_even_with_the_key(
        self, proxy: httpx.AsyncClient, agent: Payer
    ):
        assert _code(await _chat(proxy, agent)) == (401, "invalid_api_key")
