"""The proxy's own listener, byte by byte: what it answers, refuses, waits for and cuts."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import cast

import pytest
import uvloop
from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from chat_platform.proxy.limits import Limits
from chat_platform.proxy.listener import listening
from tests.waiting import eventually, let_loop_run

HURRIED = Limits(
    head_seconds=0.1, body_seconds=0.1, idle_seconds=0.1, stall_seconds=0.1, linger_seconds=0.1
)
LARGE = 8 * 1024 * 1024
MANY_ROUNDS = 1000
"""Of the event loop: more than it needs to move `LARGE` bytes that nothing holds back."""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return {
        "asyncio": asyncio.DefaultEventLoopPolicy,
        "uvloop": uvloop.EventLoopPolicy,
    }[request.param]()


@dataclass
class App:
    """Answers with what it was asked, by the path: whole, streamed, late, or not as HTTP allows."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    served: list[str] = field(default_factory=list[str])
    sent_bytes: int = 0
    has_seen_the_caller_leave: bool = False
    was_cancelled: bool = False
    open_requests: int = 0
    most_open: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served.append(scope["path"])
        self.open_requests += 1
        self.most_open = max(self.most_open, self.open_requests)
        answers: dict[str, Callable[..., Awaitable[None]]] = {
            "/stream": self._stream,
            "/refuse": self._refuse,
            "/wait": self._wait,
            "/large": self._large,
            "/break": self._break,
            "/break-early": self._break_early,
            "/stop-short": self._stop_short,
            "/two-heads": self._two_heads,
            "/empty": self._empty,
        }
        try:
            await answers.get(scope["path"], self._echo)(scope, receive, send)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        finally:
            self.open_requests -= 1

    async def _echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if "slow" in scope["path"]:
            await asyncio.sleep(0.002)
        answer = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "x": [value.decode() for name, value in scope["headers"] if name == b"x"],
            "body": body.decode(),
        }
        await _send_whole(send, json.dumps(answer).encode())

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _body(receive)
        await _send_head(send)
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_whole(send, b"no", 413)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _body(receive)
        leaving = asyncio.ensure_future(receive())
        opening = asyncio.ensure_future(self.gate.wait())
        try:
            await asyncio.wait({leaving, opening}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self.has_seen_the_caller_leave = leaving.result()["type"] == "http.disconnect"
        finally:
            leaving.cancel()
            opening.cancel()
        await _send_whole(send, b"done")

    async def _large(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_head(send)
        while self.sent_bytes < LARGE:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            self.sent_bytes += 65536
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_head(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("a secret of the request")

    async def _break_early(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a secret of the request")

    async def _stop_short(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_head(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def _two_heads(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stop_short(scope, receive, send)
        await _send_whole(send, b"a problem")

    async def _empty(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", b"GET")]})
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message["body"]
        more = message["more_body"]
    return body


async def _send_head(send: Send) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send_whole(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, str]:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


@dataclass
class Caller:
    """A socket that sends exactly these bytes, and reads answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def transport(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self.writer.transport)

    async def ask(self, request: bytes, *, has_body: bool = True) -> Answer:
        self.writer.write(request)
        return await self.answer(has_body=has_body)

    async def answer(self, *, has_body: bool = True) -> Answer:
        head = await self._read(self.reader.readuntil(b"\r\n\r\n"))
        first, *lines = head.decode().splitlines()[:-1]
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self._body(headers) if has_body else b""
        return Answer(int(first.split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """Wait until the other side has closed; nothing may come before that."""
        with suppress(ConnectionError):
            return await self._read(self.reader.read()) == b""
        return True

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            if "content-length" not in headers:
                return await self._read(self.reader.read())
            return await self._read(self.reader.readexactly(int(headers["content-length"])))
        body = b""
        while size := int(await self._read(self.reader.readuntil(b"\r\n")), 16):
            body += (await self._read(self.reader.readexactly(size + 2)))[:-2]
        assert await self._read(self.reader.readexactly(2)) == b"\r\n"
        return body

    async def _read(self, reading: Awaitable[bytes]) -> bytes:
        return await asyncio.wait_for(reading, 5)


@pytest.fixture
def app() -> App:
    return App()


@asynccontextmanager
async def _calling(port: int) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def port(app: App) -> AsyncIterator[int]:
    async with listening(app, 0, grace_seconds=1) as port:
        yield port


@pytest.fixture
async def caller(port: int) -> AsyncIterator[Caller]:
    async with _calling(port) as caller:
        yield caller


@pytest.fixture
async def hurried(app: App) -> AsyncIterator[Caller]:
    """A caller of a listener with no patience."""
    async with (
        listening(app, 0, limits=HURRIED, grace_seconds=1) as port,
        _calling(port) as caller,
    ):
        yield caller


def _get(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: a", *lines, "", ""]).encode()


def _post(path: str, body: bytes = b"", *lines: str) -> bytes:
    length = f"content-length: {len(body)}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: a", length, *lines, "", ""]).encode() + body


def _chunked(path: str, *pieces: bytes, trailers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode() + chunks + b"0\r\n" + trailers.encode() + b"\r\n"


class TestRequests:
    async def test_one_connection_serves_many(self, caller: Caller):
        bodies = [(await caller.ask(_post("/x?y=1", b"%d" % n, "X: 7"))).json for n in range(3)]

        asked = {"method": "POST", "path": "/x", "query": "y=1", "x": ["7"]}
        assert bodies == [{**asked, "body": f"{n}"} for n in range(3)]

    async def test_every_answer_says_when_it_was_made(self, caller: Caller):
        answer = await caller.ask(_get("/"))

        assert parsedate_to_datetime(answer.headers["date"]).tzinfo is not None
        assert "server" not in answer.headers
        assert "connection" not in answer.headers

    async def test_connection_close_is_obeyed(self, caller: Caller):
        answer = await caller.ask(_get("/", "Connection: close"))

        assert answer.headers["connection"] == "close"
        assert await caller.is_closed()

    async def test_old_http_is_answered_without_chunks_and_closed(self, caller: Caller):
        answer = await caller.ask(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

        assert "transfer-encoding" not in answer.headers
        assert (answer.body, answer.headers["connection"]) == (b"onetwo", "close")

    async def test_a_body_may_come_in_chunks_with_trailers(self, caller: Caller):
        answer = await caller.ask(_chunked("/", b"one", b"two", trailers="x: 1\r\n"))

        assert (answer.json["body"], answer.json["x"]) == ("onetwo", [])
        assert (await caller.ask(_get("/"))).status == 200

    async def test_paths_are_decoded_and_may_be_whole_urls(self, caller: Caller):
        decoded = await caller.ask(_get("/a%20b/%D1%8F?q=%20"))
        absolute = await caller.ask(_get("http://a:1/b?c=d"))

        assert (decoded.json["path"], decoded.json["query"]) == ("/a b/я", "q=%20")
        assert (absolute.json["path"], absolute.json["query"]) == ("/b", "c=d")

    async def test_an_upgrade_is_answered_as_if_it_were_not_asked_for(self, caller: Caller):
        answer = await caller.ask(_get("/", "Connection: upgrade", "Upgrade: websocket") + b"\x81")

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await caller.is_closed()

    async def test_only_this_machines_address_is_listened_on(self, port: int):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)


class TestAnswers:
    async def test_streams_are_chunked(self, caller: Caller):
        answer = await caller.ask(_get("/stream"))

        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.body == b"onetwo"
        assert (await caller.ask(_get("/"))).status == 200

    @pytest.mark.parametrize("path", ["/", "/stream"])
    async def test_head_is_answered_without_a_body(self, caller: Caller, path: str):
        request = _get(path).replace(b"GET", b"HEAD", 1)

        answer = await caller.ask(request, has_body=False)

        assert answer.status == 200
        assert (await caller.ask(_get("/"))).status == 200

    async def test_no_content_has_no_framing(self, caller: Caller):
        answer = await caller.ask(_get("/empty"), has_body=False)

        assert (answer.status, set(answer.headers)) == (204, {"allow", "date"})
        assert (await caller.ask(_get("/"))).status == 200

    @pytest.mark.parametrize("path", ["/break", "/stop-short", "/two-heads"])
    async def test_what_breaks_after_the_head_is_cut_without_an_end(
        self, caller: Caller, path: str
    ):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await caller.ask(_get(path))

    async def test_what_breaks_before_the_head_is_cut_too(self, caller: Caller):
        with capture_logs() as logs:
            caller.writer.write(_get("/break-early"))
            assert await caller.is_closed()

        assert logs == [
            {"event": "proxy.answer_failed", "error": "ValueError", "log_level": "error"}
        ]


class TestContinue:
    async def test_the_body_is_asked_for_when_the_application_reads_it(self, caller: Caller):
        request = _post("/", b"body", "Expect: 100-continue")
        caller.writer.write(request[:-4])

        go_on = await caller.answer(has_body=False)
        answer = await caller.ask(b"body")

        assert (go_on.status, go_on.headers) == (100, {})
        assert answer.json["body"] == "body"

    async def test_a_refused_body_is_not_asked_for(self, caller: Caller):
        answer = await caller.ask(_post("/refuse", b"body", "Expect: 100-continue")[:-4])

        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await caller.is_closed()

    async def test_a_body_that_comes_unasked_is_just_read(self, caller: Caller):
        answer = await caller.ask(_post("/", b"body", "Expect: 100-continue"))

        assert (answer.status, answer.json["body"]) == (200, "body")


class TestPipelining:
    async def test_requests_are_answered_one_at_a_time_in_order(self, caller: Caller, app: App):
        caller.writer.write(b"".join(_post(f"/{n}", b"%d" % n) for n in range(50)))

        paths = [(await caller.answer()).json["path"] for _ in range(50)]

        assert paths == [f"/{n}" for n in range(50)]
        assert app.most_open == 1

    async def test_what_arrives_too_early_waits_in_the_callers_socket(
        self, caller: Caller, app: App
    ):
        body = b"x" * 60_000
        caller.writer.write(_get("/wait"))
        await eventually(lambda: app.open_requests)
        for n in range(200):
            caller.writer.write(_post(f"/{n}", body))
        await let_loop_run(MANY_ROUNDS)
        kept = caller.transport.get_write_buffer_size()
        app.gate.set()

        waited = await caller.answer()
        answers = [await caller.answer() for _ in range(200)]

        assert kept > 0
        assert waited.body == b"done"
        assert [answer.json["path"] for answer in answers] == [f"/{n}" for n in range(200)]

    async def test_hostile_bytes_are_refused_after_the_answers_before_them(self, caller: Caller):
        caller.writer.write(_get("/1") + _get("/2") + b"\x00\x01")

        answers = [await caller.answer() for _ in range(3)]

        assert [answer.status for answer in answers] == [200, 200, 400]
        assert await caller.is_closed()

    async def test_nothing_is_answered_after_connection_close(self, caller: Caller):
        answer = await caller.ask(_get("/1", "Connection: close") + _get("/2"))

        assert answer.json["path"] == "/1"
        assert await caller.is_closed()


HOSTILE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a word": b"hello\r\n\r\n",
    "another version": b"GET / HTTP/3.7\r\nhost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": _get("/", "host: b"),
    "a folded header": b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nhost: a\n\n",
    "two lengths": _post("/", b"abc", "Content-Length: 4"),
    "a signed length": b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
    "length and chunks": _post("/", b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    "chunks in old HTTP": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nabc",
    "a broken chunk": b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "an upgrade with a body": _post("/", b"abc", "Connection: upgrade", "Upgrade: h2c"),
}


class TestHostileBytes:
    @pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE.keys())
    async def test_what_is_not_http_is_refused_and_never_quoted(
        self, caller: Caller, request_bytes: bytes
    ):
        with capture_logs() as logs:
            answer = await caller.ask(request_bytes)
            closed = await caller.is_closed()

        assert (answer.status, answer.code, closed) == (400, "malformed_http", True)
        assert answer.headers["connection"] == "close"
        line = {"event": "proxy.refused_connection", "error": "malformed_http", "log_level": "info"}
        assert logs == [line]

    @pytest.mark.parametrize(
        "request_bytes",
        [
            _get("/" + "a" * 40_000),
            _get("/", "x: " + "a" * 40_000),
            _get("/", *(f"x{n}: 1" for n in range(200))),
            b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 80_000,
            b"GET /" + b"a" * 80_000,
            _chunked("/", b"a", trailers="x: " + "a" * 80_000 + "\r\n"),
        ],
        ids=["a path", "a header", "many headers", "no end", "a path without end", "trailers"],
    )
    async def test_heads_have_a_limit(self, caller: Caller, request_bytes: bytes):
        answer = await caller.ask(request_bytes)

        assert (answer.status, answer.code) == (431, "headers_too_large")
        assert await caller.is_closed()

    async def test_a_refusal_reaches_a_caller_that_is_still_sending(self, port: int):
        for _ in range(20):
            async with _calling(port) as caller:
                answer = await caller.ask(_post("/refuse", b"x" * 3_000_000))

                assert answer.status == 413


class TestTime:
    async def test_a_slow_head_is_refused(self, hurried: Caller):
        answer = await hurried.ask(b"GET / HT")

        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await hurried.is_closed()

    async def test_a_slow_body_is_refused(self, hurried: Caller, app: App):
        answer = await hurried.ask(_post("/", b"body")[:-1])

        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await hurried.is_closed()
        assert app.open_requests == 0

    async def test_an_idle_connection_is_closed_without_a_word(self, hurried: Caller):
        await hurried.ask(_get("/"))

        assert await hurried.is_closed()

    async def test_a_connection_without_a_request_is_closed_without_a_word(self, hurried: Caller):
        assert await hurried.is_closed()

    async def test_an_answer_may_take_longer_than_any_request(self, hurried: Caller, app: App):
        asyncio.get_running_loop().call_later(1.3, app.gate.set)

        assert (await hurried.ask(_get("/wait"))).body == b"done"

    async def test_a_caller_that_reads_nothing_is_cut(self, hurried: Caller, app: App):
        hurried.transport.pause_reading()
        hurried.writer.write(_get("/large"))

        await eventually(lambda: app.open_requests)
        await eventually(lambda: not app.open_requests)


class TestBackPressure:
    async def test_an_answer_waits_for_a_slow_reader_and_arrives_whole(
        self, caller: Caller, app: App
    ):
        caller.transport.pause_reading()
        caller.writer.write(_get("/large"))
        await eventually(lambda: app.sent_bytes)
        await let_loop_run(MANY_ROUNDS)
        ahead = app.sent_bytes
        caller.transport.resume_reading()

        answer = await caller.answer()

        assert ahead < LARGE
        assert len(answer.body) == LARGE

    async def test_a_long_body_arrives_whole(self, caller: Caller):
        body = bytes(65 + n % 26 for n in range(1_000_000))

        assert (await caller.ask(_post("/", body))).json["body"] == body.decode()


def _reset_on_close(caller: Caller) -> None:
    connection = caller.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TestLeaving:
    @pytest.mark.parametrize("is_half", [True, False])
    async def test_the_application_learns_that_its_caller_has_left(
        self, caller: Caller, app: App, is_half: bool
    ):
        caller.writer.write(_get("/wait"))
        await eventually(lambda: app.open_requests)

        if is_half:
            caller.writer.write_eof()
        else:
            caller.writer.close()

        await eventually(lambda: app.has_seen_the_caller_leave)

    @pytest.mark.parametrize("path", ["/large", "/refuse", "/wait"])
    async def test_a_reset_at_any_moment_ends_the_request_without_complaints(
        self, port: int, app: App, path: str
    ):
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, why: complaints.append(why))

        with capture_logs() as logs:
            for moment in range(40):
                async with _calling(port) as caller:
                    caller.writer.write(_post(path, b"x" * 300_000)[: 299_000 + moment * 50])
                    await let_loop_run(moment)
                    _reset_on_close(caller)
                    caller.transport.abort()
        await eventually(lambda: not app.open_requests)

        assert (complaints, logs) == ([], [])

    async def test_a_caller_that_leaves_in_its_body_is_no_more_waited_for(
        self, caller: Caller, app: App
    ):
        caller.writer.write(_post("/", b"body")[:-1])
        await eventually(lambda: app.open_requests)

        caller.writer.close()

        await eventually(lambda: not app.open_requests)


@dataclass
class Served:
    """A listener that stops when told to."""

    port: int
    stopping: asyncio.Event
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.wait_for(asyncio.shield(self.task), 5)


async def _serve(app: App, *, grace_seconds: float) -> Served:
    stopping, port = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with listening(app, 0, grace_seconds=grace_seconds) as found:
            port.set_result(found)
            await stopping.wait()

    task = asyncio.create_task(serve())
    return Served(await port, stopping, task)


class TestStopping:
    async def test_idle_connections_close_and_nobody_else_comes_in_while_open_requests_end(
        self, app: App
    ):
        served = await _serve(app, grace_seconds=5)
        async with _calling(served.port) as idle, _calling(served.port) as busy:
            await idle.ask(_get("/"))
            busy.writer.write(_get("/wait") + _get("/next"))
            await eventually(lambda: app.open_requests)
            served.stopping.set()

            assert await idle.is_closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", served.port)
            app.gate.set()
            answer = await busy.answer()
            await served.stop()

            assert (answer.body, answer.headers["connection"]) == (b"done", "close")
            assert await busy.is_closed()
            assert app.served == ["/", "/wait"]

    async def test_a_long_answer_reaches_its_reader_before_the_server_stops(self, app: App):
        served = await _serve(app, grace_seconds=5)
        async with _calling(served.port) as caller:
            caller.transport.pause_reading()
            caller.writer.write(_get("/large"))
            await eventually(lambda: app.sent_bytes)
            served.stopping.set()
            caller.transport.resume_reading()

            assert len((await caller.answer()).body) == LARGE
            await served.stop()

    async def test_what_takes_too_long_is_cancelled_and_cut(self, app: App):
        served = await _serve(app, grace_seconds=0.1)
        async with _calling(served.port) as caller:
            caller.writer.write(_get("/wait"))
            await eventually(lambda: app.open_requests)

            await served.stop()

            assert await caller.is_closed()
            assert app.was_cancelled


def _cuts(data: bytes, places: list[int]) -> Iterator[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    start = 0
    for end in ends:
        if end > start:
            yield data[start:end]
        start = end


CONVERSATION = (
    _get("/slow/1")
    + _post("/slow/2", b"body" * 10)
    + b"\r\n"
    + _chunked("/slow/3", b"one", b"two" * 20, trailers="x: 1\r\n")
    + _get("/stream")
    + _post("/4?a=b", b"", "x: 1", "x: 2")
    + b"NONSENSE"
)


async def _answers_to(port: int, pieces: Iterator[bytes]) -> list[tuple[int, bytes]]:
    async with _calling(port) as caller:
        for piece in pieces:
            caller.writer.write(piece)
            await let_loop_run(2)
        answers = [await caller.answer() for _ in range(6)]
        assert await caller.is_closed()
        return [(answer.status, answer.body) for answer in answers]


def _run(loop: asyncio.AbstractEventLoopPolicy, work: Awaitable[None]) -> None:
    runner = asyncio.Runner(loop_factory=loop.new_event_loop)
    with runner:
        runner.run(work)  # pyright: ignore[reportArgumentType]


@law(max_examples=100)
@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_wherever_the_bytes_are_cut_the_answers_are_the_same(
    event_loop_policy: asyncio.AbstractEventLoopPolicy, places: list[int]
):
    async def compare() -> None:
        async with listening(App(), 0, grace_seconds=1) as port:
            whole = await _answers_to(port, iter([CONVERSATION]))
            cut = await _answers_to(port, _cuts(CONVERSATION, places))

        assert [status for status, _ in whole] == [200, 200, 200, 200, 200, 400]
        assert cut == whole

    _run(event_loop_policy, compare())


async def _heard(port: int, data: bytes) -> bytes:
    """Send the bytes, say that there are no more, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        heard = b""
        with suppress(ConnectionError):
            await loop.sock_sendall(connection, data)
            await let_loop_run(10)
            connection.shutdown(socket.SHUT_WR)
            while piece := await asyncio.wait_for(loop.sock_recv(connection, 65536), 5):
                heard += piece
        return heard


_PARTS = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\n", b"POST /stream HTTP/1.1\r\n", b"HEAD /empty HTTP/1.0\r\n"),
        *(b"host: a\r\n", b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n"),
        *(b"connection: close\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n"),
        *(b"expect: 100-continue\r\n", b"\r\n", b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc"),
        *(b"\x00", b"\xff\xfe", b": :", b"\n", b"%ff%00", b"x: " + b"y" * 20_000 + b"\r\n"),
    ]
)


@law(max_examples=200)
@given(st.lists(_PARTS | st.binary(max_size=20), max_size=20))
def test_no_bytes_break_the_listener(
    event_loop_policy: asyncio.AbstractEventLoopPolicy, parts: list[bytes]
):
    async def try_them() -> None:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, why: complaints.append(why))
        async with listening(App(), 0, grace_seconds=1) as port:
            with capture_logs() as logs:
                heard = await _heard(port, b"".join(parts))
            async with _calling(port) as caller:
                assert (await caller.ask(_get("/"))).status == 200

        assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
        assert {line["event"] for line in logs} <= {"proxy.refused_connection"}
        assert complaints == []

    _run(event_loop_policy, try_them())
