"""The HTTP client of the model calls, against answers written byte by byte."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

import pytest

from chat_platform.proxy.upstream import MAX_BUFFERED_BYTES, AnswerBroken, Unreachable, Upstream
from tests.waiting import eventually

WHOLE = b"HTTP/1.1 200 OK\r\nX-One: 1\r\ncontent-length: 5\r\n\r\nHello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nHel\r\n2;note=x\r\nlo\r\n0\r\ntrailer: x\r\n\r\n"
)
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nHello"
CONTINUE = b"HTTP/1.1 100 Continue\r\nx-early: 1\r\n\r\n"


@dataclass
class Server:
    """Answers each request with the next text; closes the connection after it if told to."""

    answers: list[bytes]
    closes: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Upstream]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base/"
        with closing(Upstream(self.url, connect_timeout_seconds=2)) as upstream:
            yield upstream
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(2))
                answer = self.answers.pop(0)
                for number in range(0, len(answer), 65_536):
                    writer.write(answer[number : number + 65_536])
                    await writer.drain()
                if self.closes:
                    return
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()


async def _ask(upstream: Upstream) -> tuple[int, bytes]:
    async with upstream.post("/v1/x", [("x-key", "k")], b"{}") as answer:
        return answer.status, await answer.read()


async def _idle_is_lost(upstream: Upstream) -> None:
    """Wait until the event loop has noticed that the idle connection is over."""
    [idle] = upstream._idle
    await eventually(lambda: idle._is_lost)


async def test_a_request_is_sent_as_it_is():
    server = Server([WHOLE])
    async with server.serving() as upstream:
        await _ask(upstream)

    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /base/v1/x HTTP/1.1"
    assert {b"x-key: k", b"content-length: 2"} <= set(head.split(b"\r\n"))
    assert body == b"{}"


@pytest.mark.parametrize(
    "text", [WHOLE, CHUNKED, CONTINUE + WHOLE], ids=["length", "chunks", "1xx"]
)
async def test_an_answer_is_read_and_its_connection_kept(text: bytes):
    server = Server([text, text, text])
    async with server.serving() as upstream:
        answers = [await _ask(upstream) for _ in range(3)]

    assert answers == [(200, b"Hello")] * 3
    assert server.connections == 1


async def test_an_answer_that_ends_with_its_connection_is_whole():
    async with Server([UNFRAMED], closes=True).serving() as upstream:
        assert await _ask(upstream) == (200, b"Hello")


async def test_a_connection_that_was_closed_while_idle_is_not_used_again():
    server = Server([WHOLE, WHOLE], closes=True)
    async with server.serving() as upstream:
        await _ask(upstream)
        await server.left.wait()
        await _idle_is_lost(upstream)

        assert await _ask(upstream) == (200, b"Hello")


@pytest.mark.parametrize("text", [WHOLE[:-1], CHUNKED[:-5], WHOLE[:20], b"", b"SMTP ready\r\n\r\n"])
async def test_a_cut_or_odd_answer_is_broken(text: bytes):
    async with Server([text], closes=True).serving() as upstream:
        with pytest.raises(AnswerBroken):
            await _ask(upstream)


async def test_an_answer_that_is_left_early_closes_its_connection():
    server = Server([WHOLE[:-1]])
    async with server.serving() as upstream:
        async with upstream.post("/v1/x", [], b"{}") as answer:
            assert await answer.piece() == b"Hell"

        await asyncio.wait_for(server.left.wait(), 1)


async def test_a_long_answer_waits_for_its_reader():
    body = b"x" * (8 * MAX_BUFFERED_BYTES)
    server = Server([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)])
    async with server.serving() as upstream, upstream.post("/v1/x", [], b"{}") as answer:
        await eventually(lambda: answer._is_paused)
        first = await answer.piece()
        rest = await answer.read()

    assert len(first) < 4 * MAX_BUFFERED_BYTES
    assert first + rest == body


async def test_nobody_listening_is_unreachable():
    server = Server([])
    async with server.serving():
        pass

    with pytest.raises(Unreachable):
        await _ask(Upstream(server.url, connect_timeout_seconds=1))


STRAY = b"HTTP/1.1 200 OK\r\nx-stray: 1\r\ncontent-length: 6\r\n\r\nSECRET"


@pytest.mark.parametrize("length", [1, 10, len(STRAY) - 6, len(STRAY)])
async def test_a_stray_answer_behind_an_answer_is_not_read(length: int):
    server = Server([WHOLE + STRAY[:length], WHOLE])
    async with server.serving() as upstream:
        async with upstream.post("/v1/x", [], b"{}") as answer:
            assert await answer.read() == b"Hello"
            assert answer.header(b"x-one") == "1"
            assert answer.header(b"x-stray") is None

        assert await _ask(upstream) == (200, b"Hello")

    assert server.connections == 2


@pytest.mark.parametrize("length", [1, 60, len(STRAY)])
@pytest.mark.parametrize("is_seen", [True, False], ids=["seen", "still in the socket"])
async def test_a_stray_answer_on_an_idle_connection_never_reaches_the_next_caller(
    length: int, is_seen: bool
):
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.readuntil(b"{}")
        writer.write(WHOLE)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with closing(Upstream(f"http://127.0.0.1:{port}", connect_timeout_seconds=2)) as upstream:
        await _ask(upstream)
        # Bypassing the loop: it has arrived although the loop has not read it yet.
        os.write(connections[0].get_extra_info("socket").fileno(), STRAY[:length])
        if is_seen:
            await _idle_is_lost(upstream)

        assert await _ask(upstream) == (200, b"Hello")

    assert len(connections) == 2
    server.close()


async def test_a_request_that_met_a_closing_connection_is_sent_once_more():
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"{}")
        requests += 1
        writer.write(WHOLE)
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"{}")
            requests += 1
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with closing(Upstream(f"http://127.0.0.1:{port}", connect_timeout_seconds=2)) as upstream:
        answers = [await _ask(upstream), await _ask(upstream)]

    assert answers == [(200, b"Hello")] * 2
    assert requests == 3
    server.close()


async def test_a_fresh_connection_that_drops_is_not_tried_again():
    server = Server([b"", WHOLE], closes=True)
    async with server.serving() as upstream:
        with pytest.raises(AnswerBroken):
            await _ask(upstream)

    assert server.connections == 1
