"""The real LiteLLM and Letta, as the launcher starts them."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.peers import Peers

pytestmark = [pytest.mark.chain, pytest.mark.timeout(400)]

ALICE = "0190aaaa-0000-7000-8000-000000000001"
HELLO = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


async def ask_litellm(
    http: httpx.AsyncClient, peers: Peers, key: str, body: dict, path: str = "/chat/completions"
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return await http.post(f"{peers.litellm_url}/v1{path}", json=body, headers=headers)


async def test_an_accounts_own_key_is_let_in_and_charged(
    http: httpx.AsyncClient, embedded_peers: Peers
):
    key = embedded_peers.billing_key(ALICE)

    answer = await ask_litellm(http, embedded_peers, key, HELLO)

    usage = answer.json()["usage"]
    expected = usage["prompt_tokens"] * 3e-07 + usage["completion_tokens"] * 2.5e-06
    assert answer.status_code == 200
    assert float(answer.headers["x-litellm-response-cost"]) == pytest.approx(expected)


async def test_a_stream_tells_its_cost_in_the_last_chunk(
    http: httpx.AsyncClient, embedded_peers: Peers
):
    key = embedded_peers.billing_key(ALICE)
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}

    answer = await ask_litellm(http, embedded_peers, key, body)

    chunks = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    assert json.loads(chunks[-1])["usage"]["cost"] > 0


async def test_embeddings_cost_something_too(http: httpx.AsyncClient, embedded_peers: Peers):
    key = embedded_peers.billing_key(ALICE)
    body = {"model": "demo-embedding", "input": "a red bike", "encoding_format": "float"}

    answer = await ask_litellm(http, embedded_peers, key, body, "/embeddings")

    assert len(answer.json()["data"][0]["embedding"]) == 1536
    assert float(answer.headers["x-litellm-response-cost"]) > 0


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1] + "x", lambda key: key.replace(ALICE, ALICE[:-1] + "2")]
)
async def test_a_key_that_we_did_not_make_is_refused(
    http: httpx.AsyncClient, embedded_peers: Peers, change
):
    key = change(embedded_peers.billing_key(ALICE))

    answer = await ask_litellm(http, embedded_peers, key, HELLO)

    assert answer.status_code == 401


async def test_an_accounts_key_opens_no_administration(
    http: httpx.AsyncClient, embedded_peers: Peers
):
    url = f"{embedded_peers.litellm_url}/model/info"
    account = {"authorization": f"Bearer {embedded_peers.billing_key(ALICE)}"}
    master = {"authorization": f"Bearer {embedded_peers.litellm_master_key}"}

    refused = await http.get(url, headers=account)
    allowed = await http.get(url, headers=master)

    names = {model["model_name"] for model in allowed.json()["data"]}
    assert refused.status_code == 401
    assert names == {"demo-chat", "demo-embedding"}


async def test_the_log_tells_whose_key_came_but_no_key(
    http: httpx.AsyncClient, embedded_peers: Peers
):
    key = embedded_peers.billing_key(ALICE)

    await ask_litellm(http, embedded_peers, key, HELLO)

    log = (embedded_peers.data_dir / "logs" / "litellm.log").read_text()
    assert f"call account={ALICE} key=" in log
    assert key not in log
    assert embedded_peers.litellm_master_key not in log


@pytest.mark.parametrize("status", [402, 429, 500])
async def test_an_upstreams_failure_comes_through_once(
    http: httpx.AsyncClient, embedded_peers: Peers, status: int
):
    calls = f"{embedded_peers.demo_url}/__calls"
    await http.delete(calls)
    body = {**HELLO, "messages": [{"role": "user", "content": f"[[fail {status}]]"}]}

    answer = await ask_litellm(http, embedded_peers, embedded_peers.billing_key(ALICE), body)
    again = await ask_litellm(http, embedded_peers, embedded_peers.billing_key(ALICE), HELLO)

    assert answer.status_code == status
    assert again.status_code == 200
    assert len((await http.get(calls)).json()) == 2


async def test_letta_wants_its_password(http: httpx.AsyncClient, embedded_peers: Peers):
    url = f"{embedded_peers.letta_url}/v1/agents/"
    headers = {"authorization": f"Bearer {embedded_peers.letta_token}"}

    refused = await http.get(url)
    allowed = await http.get(url, headers=headers)

    assert refused.status_code == 401
    assert allowed.status_code == 200


def test_no_log_shows_a_secret(embedded_peers: Peers):
    secrets = (embedded_peers.data_dir / "secrets.env").read_text().splitlines()
    named = dict(line.split("=", 1) for line in secrets)
    texts = [file.read_text() for file in (embedded_peers.data_dir / "logs").iterdir()]

    shown = [name for name, value in named.items() for text in texts if value in text]
    assert shown == []
