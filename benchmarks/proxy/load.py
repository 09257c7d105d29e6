"""Puts load on a peer over N kept connections, and measures each request.

    python -m benchmarks.proxy.load JSON_OF_A_LOAD

Prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.proxy.upstream import PACED

_TEXT = "Remember what we said about the garden. " * 100
AGENTS = 32
GRACE_SECONDS = 5
_OK = b"HTTP/1.1 200"


@dataclass(frozen=True)
class Load:
    urls: tuple[str, ...]
    """Connections take them in turns; `{n}` is the connection's number, modulo 32."""
    connections: int
    seconds: float
    kind: str
    headers: dict[str, str]
    model: str

    def request(self, number: int) -> tuple[str, int, bytes]:
        """Return the host, the port and all bytes of what this connection sends."""
        url = self.urls[(number + number // AGENTS) % len(self.urls)]
        target = urlsplit(url.replace("{n}", str(number % AGENTS)))
        body = body_of(self.kind, self.model)
        lines = {"host": target.netloc, "content-type": "application/json", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        first = f"POST {target.path} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n"
        return target.hostname or "", target.port or 80, first.encode() + body


def body_of(kind: str, model: str) -> bytes:
    text = f"{PACED} {_TEXT}" if kind == "paced" else _TEXT
    fields: dict[str, object] = {
        "model": model,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": text}],
        "tools": None,
    }
    if kind != "plain":
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(fields).encode()


@dataclass
class Measured:
    """Times and `chunks` are of what came in time; the rest counts to the last answer."""

    seconds: list[float] = field(default_factory=list[float])
    first_byte: list[float] = field(default_factory=list[float])
    chunks: int = 0
    all_answers: int = 0
    all_chunks: int = 0
    failures: int = 0
    reconnects: int = 0


class Connection(asyncio.Protocol):
    """Sends the next request as soon as an answer is complete, until it is closed."""

    def __init__(self, request: bytes, measured: Measured, until: float) -> None:
        self._request = request
        self._measured = measured
        self._until = until
        self._has_answered = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        self._is_waiting = True
        self._data = bytearray()
        self._end: int | None = None
        self._is_chunked = False
        self._is_last = False
        self._has_body = False
        self._body_at = 0
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        chunks = data.count(b"data: ")
        self._measured.all_chunks += chunks
        if time.perf_counter() < self._until:
            # Counted as they arrive, so that a stream longer than the measurement counts too.
            self._measured.chunks += chunks
        if not self._body_at:
            self._read_head()
        # Of the body: a gateway may hold back the head until the body begins.
        if not self._has_body and 0 < self._body_at < len(self._data):
            self._note_first_byte()
        if self._is_whole():
            self._note()

    def _is_whole(self) -> bool:
        if self._is_chunked:
            return self._data.endswith(b"0\r\n\r\n")
        return self._end is not None and len(self._data) >= self._end

    def _read_head(self) -> None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        self._body_at = end + 4
        head = bytes(self._data[:end]).lower()
        self._is_last = b"\r\nconnection: close" in head
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in head
        length = head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0]
        if length and not self._is_chunked:
            self._end = self._body_at + int(length)

    def _note_first_byte(self) -> None:
        self._has_body = True
        now = time.perf_counter()
        if now < self._until and self._data.startswith(_OK):
            self._measured.first_byte.append(now - self._began)

    def _note(self) -> None:
        now = time.perf_counter()
        self._is_waiting, self._has_answered = False, True
        if not self._data.startswith(_OK):
            self._measured.failures += 1
        else:
            self._measured.all_answers += 1
            if now < self._until:
                self._measured.seconds.append(now - self._began)
        if now >= self._until or self._is_last:
            self._transport.close()
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        # A kept connection may be closed just as the next request leaves: then nothing of an
        # answer has come. Whatever else is open has been cut.
        is_between = self._has_answered and not self._data
        if self._is_waiting and not is_between:
            self._measured.failures += 1
        if not self.over.done():
            self.over.set_result(None)


async def measure(load: Load) -> Measured:
    measured = Measured()
    until = time.perf_counter() + load.seconds
    lanes = [
        asyncio.create_task(_lane(*load.request(number), measured, until))
        for number in range(load.connections)
    ]
    # What has not ended soon after does not count: a slow peer must not delay the rest.
    await asyncio.wait(lanes, timeout=load.seconds + GRACE_SECONDS)
    return measured


async def _lane(host: str, port: int, request: bytes, measured: Measured, until: float) -> None:
    """Keep one connection busy, opening it again whenever the peer closes it."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(request, measured, until), host, port
            )
        except OSError:
            measured.failures += 1
            return
        await connection.over
        if time.perf_counter() >= until:
            return
        measured.reconnects += 1


def summary(measured: Measured, seconds: float) -> dict[str, float]:
    return {
        "rps": round(len(measured.seconds) / seconds, 1),
        "chunks_per_second": round(measured.chunks / seconds),
        "p50_ms": _percentile(measured.seconds, 50),
        "p99_ms": _percentile(measured.seconds, 99),
        "first_byte_p50_ms": _percentile(measured.first_byte, 50),
        "failures": measured.failures,
        "reconnects": measured.reconnects,
        "all_answers": measured.all_answers,
        "all_chunks": measured.all_chunks,
    }


def _percentile(values: list[float], percent: int) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3)


def as_argument(load: Load) -> str:
    return json.dumps(asdict(load))


if __name__ == "__main__":
    given = Load(**json.loads(sys.argv[1]))
    print(json.dumps(summary(uvloop.run(measure(given)), given.seconds)))
