"""One request and its answer on the proxy's own listener, shown to the application as ASGI."""

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from starlette.types import Message, Scope

Headers = list[tuple[bytes, bytes]]

MAX_BUFFERED_BYTES = 64 * 1024
"""How far a request's body may run ahead of the application."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_WITHOUT_BODY = frozenset((204, 304))
_STATUS_LINES = {
    int(status): b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


class BadAnswer(Exception):
    """The application answered in an order that HTTP does not allow."""


class Line(Protocol):
    """What an exchange needs of its connection."""

    @property
    def is_stalled(self) -> bool:
        """The caller reads too slowly: whoever writes must wait."""
        ...

    @property
    def is_stopping(self) -> bool:
        """The server stops: no further request will be answered."""
        ...

    def write(self, data: bytes) -> None: ...

    def resume_reading(self) -> None: ...

    async def flow(self) -> None:
        """Wait until the caller has read enough, or has left."""
        ...


class Exchange:
    """A request whose head has arrived, and the part of its answer that was sent so far."""

    def __init__(self, line: Line, scope: Scope, *, is_kept_alive: bool) -> None:
        self.scope = scope
        self.is_kept_alive = is_kept_alive
        """The connection may serve another request after this one."""
        self.is_whole = False
        """The request has arrived to its end."""
        self.has_begun = False
        """The head of the answer was sent."""
        self.is_answered = False
        """The whole answer was sent."""
        self.is_gone = False
        """The caller has left or was refused: nobody hears the answer."""
        self._line = line
        self._is_old = scope["http_version"] == "1.0"
        self._is_awaited = not self._is_old and _expects_continue(scope["headers"])
        self._body: list[bytes] = []
        self._buffered = 0
        self._is_told = False
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._is_chunked = False
        self._has_body = scope["method"] != "HEAD"

    @property
    def is_far_behind(self) -> bool:
        """The application has not read what has arrived."""
        return self._buffered > MAX_BUFFERED_BYTES

    def feed(self, body: bytes) -> None:
        self._body.append(body)
        self._buffered += len(body)
        self._is_awaited = False
        self._wake()

    def end(self) -> None:
        """Note that the request is complete."""
        self.is_whole = True
        self._is_awaited = False
        self._wake()

    def leave(self) -> None:
        """Tell the application that the caller has left."""
        self.is_gone = True
        self._wake()

    async def receive(self) -> Message:
        """For one reader at a time, as ASGI's applications are."""
        while not (self.is_gone or self.is_answered):
            if self._body or (self.is_whole and not self._is_told):
                return self._request()
            if self._is_awaited:
                self._is_awaited = False
                self._line.write(_CONTINUE)
            await self._more()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the answer; it is dropped if nobody hears it. Raises BadAnswer."""
        if self.is_gone:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", []))
            return
        self._pass(message.get("body", b""), not message.get("more_body", False))
        if self._line.is_stalled:
            await self._line.flow()

    def _request(self) -> Message:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._buffered = 0
        self._is_told = self.is_whole
        self._line.resume_reading()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _begin(self, status: int, headers: Headers) -> None:
        """Keep the head until the body's first bytes, to send both at once."""
        if self._head or self.has_begun:
            raise BadAnswer("a second head")
        # What is left of a request cannot be told from the next one.
        self.is_kept_alive = self.is_kept_alive and self.is_whole and not self._line.is_stopping
        self._has_body = self._has_body and status not in _WITHOUT_BODY
        is_framed = self._is_old or b"content-length" in [name for name, _ in headers]
        self._is_chunked = self._has_body and not is_framed
        framing = b"transfer-encoding: chunked\r\n" if self._is_chunked else b""
        self._head = head_of(status, headers, framing, is_last=not self.is_kept_alive)

    def _pass(self, body: bytes, is_last: bool) -> None:
        if self._is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                body += _LAST_CHUNK
        elif not self._has_body:
            body = b""
        if not self.has_begun:
            body = self._take_head() + body
        if self.is_answered:
            raise BadAnswer("a body after the end")
        self.is_answered = is_last
        if body:
            self._line.write(body)

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        if not head:
            raise BadAnswer("a body without a head")
        self.has_begun = True
        return head


def head_of(status: int, headers: Headers, framing: bytes, *, is_last: bool) -> bytes:
    """Return the head of an answer; `is_last` says that the connection closes after it."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    closing = b"connection: close\r\n" if is_last else b""
    return b"%b%bdate: %b\r\n%b%b\r\n" % (line, lines, _date(int(time.time())), framing, closing)


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _expects_continue(headers: Headers) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)
