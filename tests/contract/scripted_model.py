"""An OpenAI-compatible model that answers what a test scripts, at the proxy's paths."""

import asyncio
import base64
import hashlib
import json
import re
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.waiting import eventually

_DIMENSIONS = 256


@dataclass(frozen=True)
class Says:
    """The model sends it word by word; `is_cut` closes the connection after the last one."""

    text: str
    pause_seconds: float = 0
    is_cut: bool = False
    prompt_tokens: int = 100


@dataclass(frozen=True)
class CallsTool:
    name: str
    arguments: dict[str, object]


@dataclass(frozen=True)
class Fails:
    """The model, or our proxy before it, refuses the call."""

    status: int
    code: str


@dataclass(frozen=True)
class Garbage:
    """The model's answer is not JSON."""


@dataclass(frozen=True)
class Hangs:
    """The model is silent for as long as the test runs."""


Answer = Says | CallsTool | Fails | Garbage | Hangs


@dataclass(frozen=True)
class Call:
    agent_id: str
    kind: str
    """`chat/completions` or `embeddings`."""
    host: str
    body: dict[str, Any]


@dataclass
class ScriptedModel:
    """Gives the scripted answers in order, then always "Hello."."""

    url: str = ""
    script: deque[Answer] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    """Paths of calls that named no agent."""
    are_embeddings_down: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a call arrives."""

    def will(self, *answers: Answer) -> None:
        self.script.extend(answers)

    def chats_of(self, agent_id: str) -> list[Call]:
        return [c for c in self.calls if c.agent_id == agent_id and c.kind == "chat/completions"]

    async def answer(self, request: Request) -> Response:
        match = re.fullmatch(r"/api/v1/llm-proxy/([^/]+)/(.+)", request.url.path)
        if not match:
            self.strays.append(request.url.path)
            return JSONResponse({"error": {"message": "no agent"}}, status_code=404)
        self.started.set()
        body = await request.json()
        self.calls.append(Call(match[1], match[2], request.headers["host"], body))
        return self._embed(body) if match[2] == "embeddings" else await self._chat(body)

    def _embed(self, body: dict[str, Any]) -> Response:
        if self.are_embeddings_down:
            return _error(500, "embeddings_down")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [_vector(body["model"], text) for text in texts]
        data = [
            {"object": "embedding", "index": i, "embedding": _encode(vector, body)}
            for i, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 5, "total_tokens": 5}
        return JSONResponse(
            {"object": "list", "data": data, "model": body["model"], "usage": usage}
        )

    async def _chat(self, body: dict[str, Any]) -> Response:
        answer = self.script.popleft() if self.script else Says("Hello.")
        match answer:
            case Fails():
                return _error(answer.status, answer.code)
            case Garbage():
                return Response('{"id": "x", "choi', media_type="application/json")
            case Hangs():
                await asyncio.sleep(3600)
                raise AssertionError
        if body.get("stream"):
            return StreamingResponse(self._stream(answer, body), media_type="text/event-stream")
        return JSONResponse(_whole(answer, body))

    async def _stream(self, answer: Says | CallsTool, body: dict[str, Any]) -> AsyncIterator[bytes]:
        if isinstance(answer, CallsTool):
            yield _chunk(body, {"tool_calls": [{"index": 0, **_tool_call(answer)}]})
            yield _chunk(body, {}, "tool_calls")
        else:
            for word in re.findall(r"\S+\s*", answer.text):
                yield _chunk(body, {"content": word})
                await asyncio.sleep(answer.pause_seconds)
            if answer.is_cut:
                raise ConnectionAbortedError
            yield _chunk(body, {}, "stop")
        yield _sse({**_head(body), "choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"


@asynccontextmanager
async def serve(model: ScriptedModel) -> AsyncIterator[ScriptedModel]:
    """Serve the model on a free port of the loopback while the context is open."""
    app = Starlette(routes=[Route("/{path:path}", model.answer, methods=["GET", "POST"])])
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    model.url = f"http://127.0.0.1:{port}"
    try:
        yield model
    finally:
        server.force_exit = server.should_exit = True
        await task


def _error(status: int, code: str) -> Response:
    error = {"message": f"scripted {status}", "type": code, "code": code, "param": None}
    return JSONResponse({"error": error}, status_code=status)


def _whole(answer: Says | CallsTool, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(answer, CallsTool):
        message["tool_calls"] = [_tool_call(answer)]
    else:
        message["content"] = answer.text
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        **_head(body),
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(answer),
    }


def _tool_call(answer: CallsTool) -> dict[str, Any]:
    return {
        "id": f"call_{hashlib.md5(repr(answer).encode()).hexdigest()}",
        "type": "function",
        "function": {"name": answer.name, "arguments": json.dumps(answer.arguments)},
    }


def _usage(answer: Says | CallsTool) -> dict[str, int]:
    prompt = answer.prompt_tokens if isinstance(answer, Says) else 100
    return {"prompt_tokens": prompt, "completion_tokens": 7, "total_tokens": prompt + 7}


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
    }


def _chunk(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    return _sse({**_head(body), "choices": [choice]})


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _vector(model: str, text: str) -> list[float]:
    """Count words into buckets that differ by model, so that models' vectors are incompatible."""
    counts = [0.0] * _DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        bucket = hashlib.md5(f"{model}/{word}".encode()).digest()[0]
        counts[bucket] += 1
    length = sum(c * c for c in counts) ** 0.5 or 1.0
    return [c / length for c in counts]


def _encode(vector: list[float], body: dict[str, Any]) -> list[float] | str:
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
