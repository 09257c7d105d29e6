"""What the proxy's load generator counts as an answer, a failure and a new connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.proxy.load import Load, Measured, measure
from benchmarks.proxy.upstream import GAP_SECONDS, PACED_CHUNKS, Model

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*answers: bytes) -> Peer:
    """Give these answers on each connection, then close it."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            writer.write(answer)
            # Lets an answer arrive before the next, or before the end.
            await asyncio.sleep(0.01)
        writer.close()

    return peer


@asynccontextmanager
async def port_of(server: asyncio.Server) -> AsyncIterator[int]:
    async with server:
        yield server.sockets[0].getsockname()[1]


async def measured(port: int, kind: str = "plain", seconds: float = 0.2) -> Measured:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return await measure(Load((url,), 2, seconds, kind, {}, "demo-chat"))


async def measured_with(peer: Peer) -> Measured:
    async with port_of(await asyncio.start_server(peer, "127.0.0.1", 0)) as port:
        return await measured(port)


@pytest.mark.parametrize("answers", [(ANSWER, ANSWER), (ANSWER, LAST)])
async def test_a_connection_closed_between_answers_is_opened_again(answers: tuple[bytes, ...]):
    found = await measured_with(answering(*answers))

    assert found.reconnects > 2
    assert found.all_answers > 4
    assert found.failures == 0


async def test_an_answer_cut_in_the_middle_is_a_failure():
    found = await measured_with(answering(ANSWER, CUT))

    assert found.failures > 2
    assert found.all_answers > 2


async def test_a_new_connection_closed_without_an_answer_is_a_failure():
    found = await measured_with(answering(b""))

    assert found.failures > 2
    assert found.all_answers == 0


async def test_a_refusal_is_a_failure_and_no_answer():
    found = await measured_with(answering(REFUSAL, REFUSAL))

    assert found.failures > 2
    assert not found.all_answers
    assert not found.seconds
    assert not found.first_byte


async def test_nobody_listening_is_one_failure_for_each_connection():
    found = await measured(port=1)

    assert found.failures == 2


async def test_a_paced_stream_takes_its_time_and_shows_its_first_byte_at_once():
    loop = asyncio.get_running_loop()

    async with port_of(await loop.create_server(Model, "127.0.0.1", 0)) as port:
        found = await measured(port, "paced", seconds=1)

    assert min(found.seconds) > PACED_CHUNKS * GAP_SECONDS
    assert min(found.first_byte) < PACED_CHUNKS * GAP_SECONDS / 2
    assert found.failures == 0


async def test_a_burst_arrives_whole():
    loop = asyncio.get_running_loop()

    async with port_of(await loop.create_server(Model, "127.0.0.1", 0)) as port:
        found = await measured(port, "burst")

    assert found.all_answers
    assert found.all_chunks == found.all_answers * 503
