"""The HTTP client of the model calls, against answers written byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

import pytest

from chat_platform.proxy.upstream import MAX_BUFFERED_BYTES, AnswerBroken, Unreachable, Upstream

WHOLE = b"HTTP/1.1 200 OK\r\nX-One: 1\r\ncontent-length: 5\r\n\r\nHello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nHel\r\n2;note=x\r\nlo\r\n0\r\ntrailer: x\r\n\r\n"
)
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nHello"
CONTINUE = b"HTTP/1.1 100 Continue\r\nx-early: 1\r\n\r\n"


@dataclass
class Server:
    """Answers each request with the next text; closes the connection after it where told."""

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
        await asyncio.sleep(0.02)

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
        await asyncio.sleep(0.2)
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
