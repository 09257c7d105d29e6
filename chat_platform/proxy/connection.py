"""A caller's connection to the proxy's own listener: HTTP/1.1 with llhttp, one request at a time.

What is not HTTP, too long or too slow is refused and its connection closed; of its bytes nothing is
logged. Requests that arrive ahead of their turn wait, and beyond a limit the caller's socket does.
"""

import asyncio
import math
from collections import deque
from typing import Protocol, cast
from urllib.parse import unquote_to_bytes

import httptools
import structlog
from starlette.types import ASGIApp, Scope

from chat_platform.proxy import problems
from chat_platform.proxy.exchange import Exchange, Headers, head_of
from chat_platform.proxy.limits import Limits
from chat_platform.proxy.problems import Problem

log = structlog.get_logger()

_SLICE_BYTES = 16 * 1024
"""How much is parsed at once: it limits how many requests one read can bring."""
_VERSIONS = ("1.0", "1.1")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Group(Protocol):
    """What a connection needs of its listener."""

    @property
    def app(self) -> ASGIApp: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def is_stopping(self) -> bool: ...
    def joined(self, connection: "Connection") -> None: ...
    def left(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Parses the requests of one connection, and has them answered in order."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._limits = group.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        """The request whose body is arriving."""
        self._serving: Exchange | None = None
        self._has_begun = False
        """A part of a request's head has arrived."""
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._silent_bytes = 0
        """What was read since the last piece of a body: it is kept until it ends."""
        self._refusal: Problem | None = None
        """The answer to what follows the requests in the queue."""
        self._is_read_to_end = False
        """Nothing after the requests in the queue will be read."""
        self._is_paused = False
        self._is_closing = False
        self._writable: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        """The request that is being answered."""
        self.is_stalled = False
        self.deadline = math.inf
        """When `expire` is due, on the event loop's clock."""

    @property
    def is_stopping(self) -> bool:
        return self._group.is_stopping

    def write(self, data: bytes) -> None:
        # A lost connection is noted one round of the event loop later.
        if not self._transport.is_closing():
            self._transport.write(data)

    def resume_reading(self) -> None:
        """Read on: only what is read tells that the caller has left."""
        is_far_ahead = self._ahead_bytes > self._limits.max_ahead_bytes
        if self._is_paused and not is_far_ahead and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    async def flow(self) -> None:
        if not self.is_stalled:
            return
        self._writable = self._loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    def stop(self) -> None:
        """Close the connection as soon as it serves no request."""
        if not self._serving and not self._is_closing:
            self._close()

    def cut(self) -> None:
        """Close the connection at once: the caller can tell that its answer is incomplete."""
        self._is_closing = True
        self._transport.abort()

    def expire(self) -> None:
        """End what has taken too long."""
        if self._transport.is_closing() or self.is_stalled:
            self.cut()
        elif self._is_closing:
            self._close()
        elif self._has_begun or (self._serving and not self._serving.is_whole):
            self._refuse(problems.too_slow())
        else:
            self._close()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client = transport.get_extra_info("peername")
        self._wait(self._limits.idle_seconds)
        self._group.joined(self)

    def data_received(self, data: bytes) -> None:
        if self._is_closing or self._is_read_to_end:
            return
        if self._serving and self._serving.is_whole:
            self._keep(data)
        else:
            self._parse(data)

    def pause_writing(self) -> None:
        self.is_stalled = True
        self._wait(self._limits.stall_seconds)

    def resume_writing(self) -> None:
        self.is_stalled = False
        if not self._is_closing:
            self.deadline = math.inf
        self._release()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self.deadline = math.inf
        self._queue.clear()
        if self._serving:
            self._serving.leave()
        self.is_stalled = False
        self._release()
        self._group.left(self)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: Headers = []
        self._has_begun = True
        if not self._serving:
            self._wait(self._limits.head_seconds)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Those after the body are trailers, and dropped.
        if not self._reading:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._is_head_too_large():
            raise problems.head_too_large()
        scope = self._scope()
        can_be_kept = scope["http_version"] == "1.1" and not parser.should_upgrade()
        is_kept_alive = can_be_kept and parser.should_keep_alive()
        self._has_begun = False
        self._reading = Exchange(self, scope, is_kept_alive=is_kept_alive)
        self._silent_bytes = 0
        self._queue.append(self._reading)
        if not self._serving:
            self._wait(self._limits.body_seconds)
            self._serve()

    def on_body(self, body: bytes) -> None:
        reading = self._reading
        assert reading
        self._silent_bytes = 0
        reading.feed(body)
        if reading.is_far_behind and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        reading, self._reading = self._reading, None
        assert reading
        reading.end()
        self._silent_bytes = 0
        self._is_read_to_end = not reading.is_kept_alive
        if reading is self._serving:
            self.deadline = math.inf

    # Reading, in the order of the bytes.

    def _keep(self, data: bytes) -> None:
        self._ahead.append(data)
        self._ahead_bytes += len(data)
        if self._ahead_bytes > self._limits.max_ahead_bytes and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _parse(self, data: bytes) -> None:
        for at in range(0, len(data), _SLICE_BYTES):
            if self._is_closing or self._is_read_to_end:
                return
            if self._serving and self._serving.is_whole:
                self._keep(data[at:])
                return
            self._feed(data[at : at + _SLICE_BYTES])

    def _feed(self, data: bytes) -> None:
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Not offered: the request is answered, and what follows is not HTTP/1.1.
            self._is_read_to_end = True
        except httptools.HttpParserError as error:
            why = error.__context__
            self._break(why if isinstance(why, Problem) else problems.not_http())
        else:
            if self._silent_bytes > self._limits.max_head_bytes:
                self._break(problems.head_too_large())

    def _is_head_too_large(self) -> bool:
        limits, headers = self._limits, self._headers
        if len(headers) > limits.max_headers:
            return True
        # This counts what follows the head, too: only when it is much, the head itself is measured.
        if self._silent_bytes <= limits.max_head_bytes:
            return False
        length = len(self._url) + sum(len(name) + len(value) for name, value in headers)
        return length > limits.max_head_bytes

    def _scope(self) -> Scope:
        """Return the request as ASGI describes it. Raises Problem 400."""
        parser, names = self._parser, [name for name, _ in self._headers]
        version = parser.get_http_version()
        is_chunked = b"transfer-encoding" in names
        has_body = is_chunked or b"content-length" in names
        is_sound = names.count(b"host") == 1 if version == "1.1" else not is_chunked
        if not is_sound or version not in _VERSIONS or (has_body and parser.should_upgrade()):
            raise problems.not_http()
        path, _, query = _without_origin(self._url).partition(b"?")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "query_string": query,
            "headers": self._headers,
            "client": self._client,
        }

    # Answering, one request at a time.

    def _serve(self) -> None:
        serving = self._serving = self._queue.popleft()
        if serving.is_whole:
            self.deadline = math.inf
        self.task = self._loop.create_task(self._answer(serving))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._group.app(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:
            log.error("proxy.answer_failed", error=type(error).__name__)
        finally:
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        self._serving = self.task = None
        if self._is_closing:
            return
        if not exchange.is_answered:
            self.cut()
        elif not exchange.is_kept_alive:
            self._leave()
        elif self._refusal and not self._queue:
            self._refuse(self._refusal)
        elif self.is_stopping:
            self._leave()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Serve the next request; read on where it, or its head, has not arrived in full."""
        if self._queue:
            self._serve()
        if self._serving and self._serving.is_whole:
            return
        self._wait(self._patience())
        if self._ahead:
            data = b"".join(self._ahead)
            self._ahead.clear()
            self._ahead_bytes = 0
            self._parse(data)
        self.resume_reading()

    def _patience(self) -> float:
        limits = self._limits
        if self._serving:
            return limits.body_seconds
        return limits.head_seconds if self._has_begun else limits.idle_seconds

    # Ending.

    def _break(self, why: Problem) -> None:
        """Refuse what has just been read, after the requests before it."""
        if self._is_read_to_end:
            return
        reading, self._reading = self._reading, None
        self._is_read_to_end = True
        self._has_begun = False
        if self._serving is None or self._serving is reading:
            self._refuse(why)
            return
        if reading:
            self._queue.remove(reading)
        self._refusal = why

    def _refuse(self, why: Problem) -> None:
        """Answer in the application's place; an answer that has begun is cut."""
        log.info("proxy.refused_connection", error=why.code)
        if self._serving:
            self._serving.leave()
            if self._serving.has_begun:
                self.cut()
                return
        body = why.body()
        headers = [*why.headers(), (b"content-length", b"%d" % len(body))]
        self.write(head_of(why.status, headers, b"", is_last=True) + body)
        self._linger()

    def _leave(self) -> None:
        """Close after the answer; a caller that still sends must not lose it by a reset."""
        is_read = self._is_read_to_end or not (self._reading or self._queue or self._ahead)
        if is_read:
            self._close()
        else:
            self._linger()

    def _close(self) -> None:
        self._is_closing = True
        self._transport.close()
        self._wait(self._limits.stall_seconds)

    def _linger(self) -> None:
        """Say that nothing more will come, and drop what still arrives."""
        self._is_closing = True
        self._queue.clear()
        self._ahead.clear()
        self._ahead_bytes = 0
        self.resume_reading()
        if not self._transport.is_closing():
            self._transport.write_eof()
        self._wait(self._limits.linger_seconds)

    def _wait(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _release(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)


def _without_origin(url: bytes) -> bytes:
    """Return the path and query of a request's target, which may be a whole URL."""
    if url[:1] == b"/" or b"://" not in url:
        return url
    return b"/" + url.partition(b"://")[2].partition(b"/")[2]
