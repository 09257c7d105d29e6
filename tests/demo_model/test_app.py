import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from chat_platform.demo_model.app import ConnectionCut, create_app
from chat_platform.demo_model.tokens import count_tokens
from tests.demo_model.conversation import TOOLS, system, user
from tests.waiting import eventually_found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async for client in _client(with_faults=False):
        yield client


@pytest.fixture
async def faulty() -> AsyncIterator[httpx.AsyncClient]:
    async for client in _client(with_faults=True):
        yield client


async def _client(*, with_faults: bool) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(with_faults=with_faults))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        yield client


def request(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "demo-chat", "messages": [system(), user(text)], **more}


async def post(client: httpx.AsyncClient, text: str, **more: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=request(text, **more))


async def _calls(client: httpx.AsyncClient) -> list[Any]:
    return (await client.get("/__calls")).json()


def events(answer: httpx.Response) -> list[Any]:
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [piece if piece == "[DONE]" else json.loads(piece) for piece in data]


async def test_a_plain_answer_has_openais_shape_and_its_real_usage(client: httpx.AsyncClient):
    body = (await post(client, "How are you?")).json()

    choice = body["choices"][0]
    usage = body["usage"]
    assert body["object"] == "chat.completion"
    assert choice["finish_reason"] == "stop"
    assert usage["completion_tokens"] == count_tokens(choice["message"]["content"])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_a_stream_adds_up_to_the_plain_answer(client: httpx.AsyncClient):
    plain = (await post(client, "How are you?")).json()

    streamed = events(await post(client, "How are you?", stream=True))

    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in streamed[:-1])
    assert text == plain["choices"][0]["message"]["content"]
    assert streamed[-2]["choices"][0]["finish_reason"] == "stop"
    assert streamed[-1] == "[DONE]"


async def test_usage_is_streamed_only_when_asked_for(client: httpx.AsyncClient):
    plain = (await post(client, "Hi")).json()

    asked = events(await post(client, "Hi", stream=True, stream_options={"include_usage": True}))
    not_asked = events(await post(client, "Hi", stream=True))

    assert asked[-2]["choices"] == []
    assert asked[-2]["usage"] == plain["usage"]
    assert all("usage" not in event for event in not_asked[:-1])


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_tool_call_arrives_whole(client: httpx.AsyncClient, is_streamed: bool):
    answer = await post(client, "My name is Ada", tools=TOOLS, stream=is_streamed)

    if is_streamed:
        pieces = [
            event["choices"][0]["delta"]["tool_calls"][0]["function"]
            for event in events(answer)[:-1]
            if "tool_calls" in event["choices"][0]["delta"]
        ]
        name, arguments = pieces[0]["name"], "".join(piece["arguments"] for piece in pieces)
    else:
        function = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]
        name, arguments = function["name"], function["arguments"]
    assert name == "memory_insert"
    assert json.loads(arguments) == {"label": "human", "new_string": "Name: Ada"}


async def test_max_tokens_cuts_the_answer_and_says_so(client: httpx.AsyncClient):
    body = (await post(client, "Introduce yourself", max_completion_tokens=5)).json()

    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] <= 5


async def test_embeddings_are_the_same_as_floats_and_as_base64(client: httpx.AsyncClient):
    asked = {"model": "demo-embedding", "input": ["red bike", "tea"]}

    floats = (await client.post("/v1/embeddings", json=asked)).json()
    packed = (
        await client.post("/v1/embeddings", json={**asked, "encoding_format": "base64"})
    ).json()

    for one, other in zip(floats["data"], packed["data"], strict=True):
        unpacked = struct.unpack("<1536f", base64.b64decode(other["embedding"]))
        assert one["embedding"] == pytest.approx(unpacked, abs=1e-6)
    assert floats["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_the_models_are_listed_and_others_are_unknown(client: httpx.AsyncClient):
    names = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
    unknown = await client.post("/v1/chat/completions", json={**request("Hi"), "model": "gpt"})

    assert names == ["demo-chat", "demo-embedding"]
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


async def test_without_the_flag_special_words_are_only_words(client: httpx.AsyncClient):
    answer = await post(client, "[[fail 500]]")
    calls = await client.get("/__calls")

    assert answer.status_code == 200
    assert "[[fail 500]]" in answer.json()["choices"][0]["message"]["content"]
    assert calls.status_code == 404


@pytest.mark.parametrize("status", [402, 429, 500])
async def test_it_fails_on_request(faulty: httpx.AsyncClient, status: int):
    answer = await post(faulty, f"[[fail {status}]]")

    assert answer.status_code == status
    assert answer.json()["error"]["message"] == f"Asked to fail: {status}"


async def test_it_can_recover_after_some_failures(faulty: httpx.AsyncClient):
    statuses = [(await post(faulty, "[[fail 500 2]]")).status_code for _ in range(3)]

    assert statuses == [500, 500, 200]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_it_drops_the_connection_on_request(faulty: httpx.AsyncClient, is_streamed: bool):
    with pytest.raises(ConnectionCut):
        await post(faulty, "[[cut]]", stream=is_streamed)


async def test_it_can_stop_without_an_end(faulty: httpx.AsyncClient):
    streamed = events(await post(faulty, "[[unfinished]]", stream=True))

    assert "[DONE]" not in streamed
    assert all(event["choices"][0]["finish_reason"] is None for event in streamed)


async def test_it_can_send_broken_json(faulty: httpx.AsyncClient):
    plain = await post(faulty, "[[malformed]]")
    streamed = await post(faulty, "[[malformed]]", stream=True)

    with pytest.raises(json.JSONDecodeError):
        plain.json()
    with pytest.raises(json.JSONDecodeError):
        events(streamed)


async def test_it_can_keep_its_usage_to_itself(faulty: httpx.AsyncClient):
    plain = (await post(faulty, "[[no usage]]")).json()

    assert "usage" not in plain


async def test_it_answers_the_wished_number_of_words_and_steps(faulty: httpx.AsyncClient):
    words = (await post(faulty, "[[words 7]]")).json()["choices"][0]["message"]["content"]
    step = (await post(faulty, "[[tools 2]]", tools=TOOLS)).json()["choices"][0]

    assert words.split() == [f"word{n}" for n in range(1, 8)]
    assert step["finish_reason"] == "tool_calls"
    assert step["message"]["tool_calls"][0]["function"]["name"] == "conversation_search"


async def test_an_embedding_can_fail_too(faulty: httpx.AsyncClient):
    answer = await faulty.post(
        "/v1/embeddings", json={"model": "demo-embedding", "input": "[[fail 500]]"}
    )

    assert answer.status_code == 500


async def test_it_lists_the_calls_that_came(faulty: httpx.AsyncClient):
    await faulty.post(
        "/v1/chat/completions", json=request("Hi"), headers={"authorization": "Bearer sk-1"}
    )
    await post(faulty, "[[fail 500]]")

    calls = await _calls(faulty)
    await faulty.delete("/__calls")

    assert [call["state"] for call in calls] == ["done", "failed"]
    assert calls[0]["authorization"] == "Bearer sk-1"
    assert calls[0]["usage"]["total_tokens"] > 0
    assert await _calls(faulty) == []


async def test_a_caller_who_leaves_is_noted(faulty: httpx.AsyncClient):
    slow = asyncio.create_task(post(faulty, "[[silence 30]]", stream=True))
    await eventually_found(lambda: _calls(faulty))

    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)

    assert (await _calls(faulty))[0]["state"] == "disconnected"
