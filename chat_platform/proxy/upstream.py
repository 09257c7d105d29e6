"""The HTTP client for model calls: one POST, its response as it arrives, kept connections.

HTTP/1.1 with llhttp (`httptools`), limited to what a gateway's client needs: no redirects, no
cookies, no decompression. A response that is not read to its end closes its connection at once.
"""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

import httptools

Headers = list[tuple[bytes, bytes]]

KEEP_ALIVE_SECONDS = 4
"""Less than the 5 s after which LiteLLM's server closes idle connections."""

MAX_BUFFERED_BYTES = 512 * 1024
"""How far a response may run ahead of its reader."""

MAX_READ_BYTES = 8 * 1024 * 1024

RACE_SECONDS = 1
"""A kept connection that drops this soon, without a byte, was closing when the request was sent, so
the request was not processed. If it drops later, it may have been."""

_SWITCHED = 101
_INFORMATIONAL = frozenset(range(100, 200)) - {_SWITCHED}


class Unreachable(Exception):
    """Nothing was sent: no connection could be opened."""


class AnswerBroken(Exception):
    """The connection was lost, or the response is not HTTP."""


class AnswerTooLong(Exception):
    """The response is too long: `length` bytes, and no end."""

    def __init__(self, length: int) -> None:
        super().__init__(f"more than {length} bytes")
        self.length = length


class Answer(asyncio.Protocol):
    """A connection, and the response that arrives on it."""

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
        self._has_begun = False
        self._has_strays = False
        self._asked_at = self._loop.time()

    @property
    def can_be_kept(self) -> bool:
        is_clean = self._is_whole and not (self._pieces or self._error or self._has_strays)
        return is_clean and self._is_kept_alive and not self._is_lost

    @property
    def is_usable(self) -> bool:
        """An idle connection is still open, and nothing unrequested has arrived."""
        is_fresh = self._loop.time() - self.idle_since < KEEP_ALIVE_SECONDS
        is_open = not self._is_lost and not self._transport.is_closing()
        return is_fresh and is_open and not self._unread.poll(0)

    @property
    def was_never_taken(self) -> bool:
        """The request met a connection that was closing."""
        return not self._has_begun and self._loop.time() - self._asked_at < RACE_SECONDS

    def header(self, name: bytes) -> str | None:
        value = next((value for key, value in self.headers if key == name), None)
        return None if value is None else value.decode("latin-1")

    async def ask(self, request: bytes) -> None:
        """Send the request, and wait for the response's head. Raises AnswerBroken."""
        self._begin()
        self._transport.write(request)
        while not self._has_head:
            await self._more()

    async def piece(self) -> bytes:
        """Return what has arrived, `b""` at the end. Raises AnswerBroken."""
        while not self._pieces and not self._is_whole:
            await self._more()
        pieces, self._pieces = self._pieces, []
        self._buffered = 0
        if self._is_paused and not self._is_lost:
            self._is_paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self, most_bytes: int = MAX_READ_BYTES) -> bytes:
        """Return the whole body. Raises AnswerBroken and AnswerTooLong."""
        body: list[bytes] = []
        length = 0
        while piece := await self.piece():
            body.append(piece)
            length += len(piece)
            if length > most_bytes:
                raise AnswerTooLong(length)
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

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # What waits in the socket unread: its end, or a stray response.
        self._unread = select.poll()
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._is_whole:
            # Unrequested data: it must not become the next caller's response.
            self._has_strays = True
            self._transport.abort()
            return
        self._has_begun = True
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

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._has_strays = self._is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_strays:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._has_strays:
            return
        self.status = self._parser.get_status_code()
        self._has_head = self.status not in _INFORMATIONAL

    def on_body(self, body: bytes) -> None:
        if self._has_strays:
            return
        self._pieces.append(body)
        self._buffered += len(body)
        if self._buffered > MAX_BUFFERED_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._has_strays:
            return
        if self._has_head:
            self._is_whole = True
            # Only now: after this the parser starts with the next message.
            self._is_kept_alive = self._parser.should_keep_alive()
        else:
            self.headers = []


class Upstream:
    """LiteLLM's address, and the idle connections to it."""

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
        self,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        on_sent: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Answer]:
        """Send the body; yield the response once its head has arrived. Raises Unreachable.

        A kept connection may close just as the request is sent: it is then sent once more.
        `on_sent` is called when there is a connection, and the body is about to leave.
        """
        request = self._request(path, headers, body)
        kept = self._kept()
        answer = kept or await self._connect()
        on_sent()
        try:
            try:
                await answer.ask(request)
            except AnswerBroken:
                if not kept or not kept.was_never_taken:
                    raise
                kept.close()
                answer = await self._connect()
                await answer.ask(request)
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
        """Return the most recently used connection; older ones may close."""
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
    """The response's end is defined by its head, not by the connection closing."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
