"""A scripted LiteLLM over real HTTP: each request takes the next answer, failures included."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
COST = 54_800


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Answer:
    """What is returned: `pieces` one by one, with `pause_seconds` before each but the first.

    `is_cut` drops the connection after the last piece; `hang_seconds` is a wait before any byte.
    """

    pieces: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_stream: bool = False
    is_cut: bool = False
    pause_seconds: float = 0
    hang_seconds: float = 0


def completion(text: str = "Hello", cost: str | None = "5.48e-05", **more: Any) -> Answer:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        ],
        "usage": USAGE,
        **more,
    }
    headers = {"x-litellm-call-id": "litellm-1", "x-litellm-key-spend": "0.1"}
    if cost is not None:
        headers["x-litellm-response-cost"] = cost
    return Answer([json.dumps(body).encode()], headers=headers)


def embedding() -> Answer:
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    return Answer([json.dumps(body).encode()], headers={"x-litellm-response-cost": "6e-08"})


def error(status: int, kind: str, message: str = "it failed", **headers: str) -> Answer:
    body = {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}
    return Answer([json.dumps(body).encode()], status=status, headers=headers)


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(text: str | None = None, *, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    return event(
        {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    )


USAGE_CHUNK = event({"id": "chatcmpl-1", "choices": [], "usage": {**USAGE, "cost": 5.48e-05}})
DONE = b"data: [DONE]\n\n"


def stream(*pieces: bytes, **options: Any) -> Answer:
    return Answer(list(pieces), is_stream=True, **options)


def whole_stream(*texts: str) -> Answer:
    texts = texts or ("Hel", "lo")
    return stream(*(chunk(t) for t in texts), chunk(finish="stop"), USAGE_CHUNK, DONE)


@dataclass
class FakeUpstream:
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    on_request: Callable[[Received], object] | None = None
    choose: Callable[[Received], Answer] | None = None
    """Gives the answer if no scripted one is left."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a caller closed its connection before its answer was complete."""
    url: str = ""

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["FakeUpstream"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader):
                self.received.append(request)
                if self.on_request:
                    self.on_request(request)
                answer = self._next_answer(request)
                if not await self._send(answer, reader, writer):
                    break
        finally:
            writer.close()

    def _next_answer(self, request: Received) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        return self.choose(request) if self.choose else completion()

    async def _send(
        self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        gone = asyncio.ensure_future(reader.read(1))
        sending = asyncio.ensure_future(_send(answer, writer))
        await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            sending.cancel()
            self.left.set()
            return False
        gone.cancel()
        await asyncio.wait((gone,))
        if isinstance(sending.exception(), ConnectionError):
            self.left.set()
            return False
        return sending.result()


async def _send(answer: Answer, writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(answer.hang_seconds)
    kind = "text/event-stream" if answer.is_stream else "application/json"
    headers = {"content-type": kind, **answer.headers}
    if answer.is_stream:
        headers["transfer-encoding"] = "chunked"
    else:
        length = sum(map(len, answer.pieces)) + (100 if answer.is_cut else 0)
        headers["content-length"] = str(length)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode())
    for number, piece in enumerate(answer.pieces):
        await asyncio.sleep(answer.pause_seconds if number else 0)
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.is_stream else piece)
        await writer.drain()
    if answer.is_cut:
        return False
    if answer.is_stream:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head.split("\r\n")
    pairs = (pair.partition(": ") for pair in rest if pair)
    headers = {name.lower(): value for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(line.split(" ")[1], headers, body)
