"""The HTTP client of the model calls: one POST, its answer as it comes, connections kept.

HTTP/1.1 by llhttp (`httptools`), and no more of it than a gateway's client needs: no redirects, no
cookies, no decompression. An answer that is not read to its end closes its connection at once.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

import httptools

Headers = list[tuple[bytes, bytes]]

KEEP_ALIVE_SECONDS = 4
"""Less than the 5 s after which LiteLLM's server closes an idle connection under our feet."""

MAX_BUFFERED_BYTES = 512 * 1024
"""How far an answer may run ahead of who reads it."""

_INFORMATIONAL = range(100, 200)


class Unreachable(Exception):
    """Nothing was sent: no connection came about."""


class AnswerBroken(Exception):
    """The connection was lost, or what came is no HTTP answer."""


class Answer(asyncio.Protocol):
    """A connection, and the answer that arrives on it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_lost = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: Headers = []
        """Names in lower case."""
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._is_paused = False
        self._has_head = False
        self._is_whole = False
        self._is_kept_alive = False

    @property
    def can_be_kept(self) -> bool:
        is_clean = self._is_whole and not self._pieces and not self._error
        return is_clean and self._is_kept_alive and not self._is_lost

    @property
    def is_usable(self) -> bool:
        """An idle connection still stands."""
        is_fresh = self._loop.time() - self.idle_since < KEEP_ALIVE_SECONDS
        return is_fresh and not self._is_lost and not self._transport.is_closing()

    def header(self, name: bytes) -> str | None:
        value = next((value for key, value in self.headers if key == name), None)
        return None if value is None else value.decode("latin-1")

    async def ask(self, request: bytes) -> None:
        """Send the request, and wait for the answer's head. Raises AnswerBroken."""
        self._begin()
        self._transport.write(request)
        while not self._has_head:
            await self._more()

    async def piece(self) -> bytes:
        """Return what has arrived, `b""` when all has. Raises AnswerBroken."""
        while not self._pieces and not self._is_whole:
            await self._more()
        pieces, self._pieces = self._pieces, []
        self._buffered = 0
        if self._is_paused and not self._is_lost:
            self._is_paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self) -> bytes:
        """Return the whole body. Raises AnswerBroken."""
        body: list[bytes] = []
        while piece := await self.piece():
            body.append(piece)
        return body[0] if len(body) == 1 else b"".join(body)

    def close(self) -> None:
        self._transport.abort()

    async def _more(self) -> None:
        if self._error:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._error = AnswerBroken(str(error))
            self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._has_head and not exc and not _is_framed(self.headers):
            self._is_whole = True
        elif not self._is_whole:
            self._error = self._error or AnswerBroken("the connection was lost")
        self._wake()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status not in _INFORMATIONAL

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._buffered += len(body)
        if self._buffered > MAX_BUFFERED_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._is_whole = True
            # Only now: after this the parser thinks of the next message.
            self._is_kept_alive = self._parser.should_keep_alive()
        else:
            self.headers = []


class Upstream:
    """LiteLLM, and the idle connections to it."""

    def __init__(self, base_url: str, *, connect_timeout_seconds: float) -> None:
        url = urlsplit(base_url)
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._prefix = url.path.rstrip("/")
        self._netloc = url.netloc.rpartition("@")[2]
        self._connect_timeout = connect_timeout_seconds
        self._idle: list[Answer] = []

    @asynccontextmanager
    async def post(
        self, path: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> AsyncIterator[Answer]:
        """Send the body; yield the answer when its head is there. Raises Unreachable."""
        answer = self._kept() or await self._connect()
        try:
            await answer.ask(self._request(path, headers, body))
            yield answer
        finally:
            if answer.can_be_kept:
                answer.idle_since = asyncio.get_running_loop().time()
                self._idle.append(answer)
            else:
                answer.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Answer | None:
        """Return the connection that was used last; the older ones may close."""
        while self._idle:
            answer = self._idle.pop()
            if answer.is_usable:
                return answer
            answer.close()
        return None

    async def _connect(self) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, answer = await loop.create_connection(
                    Answer, self._host, self._port, ssl=self._tls
                )
        except OSError as exc:
            raise Unreachable(str(exc)) from exc
        return answer

    def _request(self, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\nhost: {self._netloc}\r\n{lines}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


def _is_framed(headers: Headers) -> bool:
    """The answer's end is told by its head, not by the connection's end."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
