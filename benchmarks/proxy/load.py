"""Puts load on one address over N kept connections, and measures each request.

    python -m benchmarks.proxy.load URL CONNECTIONS SECONDS plain|stream HEADERS_JSON

`{n}` in the URL is the connection's number, modulo 32. Prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

_TEXT = "Remember what we said about the garden. " * 100
AGENTS = 32
GRACE_SECONDS = 5


def body_of(*, is_stream: bool) -> bytes:
    fields: dict[str, object] = {
        "model": "demo-chat",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": _TEXT}],
        "tools": None,
    }
    if is_stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(fields).encode()


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)
    first_byte: list[float] = field(default_factory=list)
    chunks: int = 0
    failures: int = 0


class Connection(asyncio.Protocol):
    """Sends the next request as soon as an answer is whole."""

    def __init__(self, request: bytes, measured: Measured, until: float) -> None:
        self._request = request
        self._measured = measured
        self._until = until
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        self._data = bytearray()
        self._end: int | None = None
        self._is_chunked = False
        self._first = 0.0
        self._body_at = 0
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if time.perf_counter() < self._until:
            # Counted as they come, so that a stream longer than the measurement counts too.
            self._measured.chunks += data.count(b"data: ")
        if self._end is None and not self._is_chunked:
            self._read_head()
        # Of the body: a gateway may pass a head on with what follows it.
        if not self._first and 0 < self._body_at < len(self._data):
            self._first = time.perf_counter()
        is_whole = (
            self._data.endswith(b"0\r\n\r\n")
            if self._is_chunked
            else self._end is not None and len(self._data) >= self._end
        )
        if is_whole:
            self._note()

    def _read_head(self) -> None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        self._body_at = end + 4
        head = bytes(self._data[:end]).lower()
        if b"transfer-encoding: chunked" in head:
            self._is_chunked = True
        else:
            length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
            self._end = self._body_at + int(length)

    def _note(self) -> None:
        now = time.perf_counter()
        if not self._data.startswith(b"HTTP/1.1 200"):
            self._measured.failures += 1
        elif now < self._until:
            self._measured.seconds.append(now - self._began)
            self._measured.first_byte.append(self._first - self._began)
        if now < self._until:
            self._next()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self._measured.failures += 1
            self.over.set_result(None)

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
        self._transport.close()


async def measure(
    url: str, *, connections: int, seconds: float, is_stream: bool, headers: dict[str, str]
) -> Measured:
    measured = Measured()
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(connections):
        target = urlsplit(url.replace("{n}", str(number % AGENTS)))
        request = _request(target.path, target.netloc, headers, body_of(is_stream=is_stream))
        _, connection = await loop.create_connection(
            lambda request=request: Connection(request, measured, until),
            target.hostname,
            target.port,
        )
        opened.append(connection.over)
    # What has not ended soon after does not count: a slow peer must not hold up the rest.
    await asyncio.wait(opened, timeout=seconds + GRACE_SECONDS)
    return measured


def _request(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = {"host": host, "content-type": "application/json", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body


def summary(measured: Measured, seconds: float) -> dict[str, float]:
    return {
        "requests": len(measured.seconds),
        "rps": round(len(measured.seconds) / seconds, 1),
        "chunks_per_second": round(measured.chunks / seconds),
        "p50_ms": _percentile(measured.seconds, 50),
        "p99_ms": _percentile(measured.seconds, 99),
        "first_byte_p50_ms": _percentile(measured.first_byte, 50),
        "failures": measured.failures,
    }


def _percentile(values: list[float], percent: int) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3)


if __name__ == "__main__":
    where, count, duration, kind, head = sys.argv[1:]
    result = uvloop.run(
        measure(
            where,
            connections=int(count),
            seconds=float(duration),
            is_stream=kind == "stream",
            headers=json.loads(head),
        )
    )
    print(json.dumps(summary(result, float(duration))))
