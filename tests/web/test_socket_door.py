"""The limits of the pages' sockets, by who opens them."""

import asyncio
from dataclasses import replace

import pytest
from starlette.types import Message, Receive, Scope, Send

from chat_platform.turns.control import MAX_MESSAGE_CHARACTERS
from chat_platform.web.socket_door import (
    RESTARTING,
    Allowance,
    OpenSockets,
    SocketDoor,
    SocketLimits,
)
from tests.waiting import eventually

LIMITS = SocketLimits(
    max_sockets=6,
    max_sockets_of_strangers=4,
    max_of_address=5,
    max_of_strangers_address=2,
    signed_in=Allowance(max_bytes=100, burst=10, messages_a_second=0, idle_seconds=float("inf")),
    strangers=Allowance(max_bytes=10, burst=3, messages_a_second=0, idle_seconds=60),
)
COOKIE = "chat_sign_in=alice"


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and then listen until the end."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def is_signed_in(cookie_header: str) -> bool:
    return cookie_header == COOKIE


class Client:
    """An open socket, as its client sees it."""

    def __init__(self, door: SocketDoor, *, cookie: str = "", address: str = "192.0.2.1") -> None:
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self.heard: list[Message] = []
        headers = [(b"cookie", cookie.encode())] if cookie else []
        scope = {"type": "websocket", "headers": headers, "client": (address, 1)}
        self._said.put_nowait({"type": "websocket.connect"})
        self._serving = asyncio.create_task(door(scope, self._said.get, self._hear))

    async def _hear(self, message: Message) -> None:
        self.heard.append(message)

    async def settled(self) -> "Client":
        for _ in range(20):
            await asyncio.sleep(0)
        return self

    async def say(self, *texts: str) -> "Client":
        for text in texts:
            self._said.put_nowait({"type": "websocket.receive", "text": text})
            await self.settled()
        return self

    async def close(self) -> None:
        self._said.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self._serving

    @property
    def close_code(self) -> int | None:
        codes = [m["code"] for m in self.heard if m["type"] == "websocket.close"]
        return codes[0] if codes else None

    @property
    def is_open(self) -> bool:
        return not self._serving.done() and self.close_code is None


@pytest.fixture
def door() -> SocketDoor:
    return SocketDoor(listen, is_signed_in, LIMITS)


async def opened(door: SocketDoor, count: int, **who: str) -> list[Client]:
    return [await Client(door, **who).settled() for _ in range(count)]


async def test_an_address_without_a_sign_in_has_few_sockets(door: SocketDoor):
    sockets = await opened(door, 3)

    assert [socket.is_open for socket in sockets] == [True, True, False]
    assert sockets[2].close_code == 1013


async def test_who_is_signed_in_is_not_counted_among_the_strangers_at_their_address(
    door: SocketDoor,
):
    await opened(door, 2)

    (hers,) = await opened(door, 1, cookie=COOKIE)

    assert hers.is_open


async def test_strangers_leave_room_for_those_who_are_signed_in(door: SocketDoor):
    strangers = [
        socket for n in range(5) for socket in await opened(door, 1, address=f"192.0.2.{n}")
    ]
    (hers,) = await opened(door, 1, cookie=COOKIE, address="192.0.2.9")

    assert [socket.is_open for socket in strangers] == [True] * 4 + [False]
    assert hers.is_open


async def test_an_address_and_the_process_have_a_bound_for_everybody(door: SocketDoor):
    of_address = await opened(door, 6, cookie=COOKIE)
    elsewhere = await opened(door, 2, cookie=COOKIE, address="192.0.2.9")

    assert [socket.is_open for socket in of_address] == [True] * 5 + [False]
    assert [socket.is_open for socket in elsewhere] == [True, False]


async def test_the_addresses_of_one_ipv6_house_count_together(door: SocketDoor):
    house = [s for n in range(3) for s in await opened(door, 1, address=f"2001:db8:1:2::{n}")]
    (neighbour,) = await opened(door, 1, address="2001:db8:1:3::1")

    assert [socket.is_open for socket in house] == [True, True, False]
    assert neighbour.is_open


async def test_a_closed_socket_makes_room(door: SocketDoor):
    first, _ = await opened(door, 2)

    await first.close()

    (third,) = await opened(door, 1)
    assert third.is_open


@pytest.mark.parametrize(("cookie", "most"), [("", 10), (COOKIE, 100)])
async def test_a_message_has_a_size(door: SocketDoor, cookie: str, most: int):
    (fits, is_larger) = await opened(door, 2, cookie=cookie)

    await fits.say("x" * most)
    await is_larger.say("x" * (most + 1))

    assert fits.is_open
    assert is_larger.close_code == 1009


@pytest.mark.parametrize("text", ["x", "3"])
@pytest.mark.parametrize(("cookie", "most"), [("", 3), (COOKIE, 10)])
async def test_messages_and_pongs_have_a_rate(door: SocketDoor, cookie: str, most: int, text: str):
    (socket,) = await opened(door, 1, cookie=cookie)

    await socket.say(*[text] * most)
    assert socket.is_open
    await socket.say(text)

    assert socket.close_code == 1008


async def test_a_stranger_who_only_answers_pings_is_sent_away_for_good():
    hasty = replace(LIMITS, strangers=replace(LIMITS.strangers, idle_seconds=0))
    door = SocketDoor(listen, is_signed_in, hasty)

    socket = Client(door)
    await eventually(lambda: socket.close_code is not None)

    # With this word Reflex's client does not reconnect before somebody looks at the page.
    assert {"type": "websocket.send", "text": "41/_event,"} in socket.heard


async def test_who_is_signed_in_may_be_silent():
    hasty = replace(LIMITS, strangers=replace(LIMITS.strangers, idle_seconds=0))
    (socket,) = await opened(SocketDoor(listen, is_signed_in, hasty), 1, cookie=COOKIE)

    assert socket.is_open


async def test_a_process_that_drains_lets_every_page_go_to_another():
    sockets = OpenSockets()
    door = SocketDoor(listen, is_signed_in, LIMITS, sockets=sockets)
    open_here = await opened(door, 3, cookie=COOKIE)

    await sockets.let_all_go()

    assert [socket.close_code for socket in open_here] == [RESTARTING] * 3


def test_the_longest_text_for_the_agent_fits_however_it_is_written():
    as_surrogates = len(r"\ud83d\ude00")

    assert SocketLimits().signed_in.max_bytes > as_surrogates * MAX_MESSAGE_CHARACTERS + 10_000
