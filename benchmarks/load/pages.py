"""Open pages without browsers: plain websockets that speak the pages' protocol."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

_NAMESPACE = "/_event"
_STATE = "reflex___state____state"
_ON_LOAD = f"{_STATE}.reflex___state____on_load_internal_state.on_load_internal"
_OPENING = (f"{_STATE}.hydrate", _ON_LOAD)
"""What a page sends when it has loaded."""
_ROUTER: dict[str, object] = {"pathname": "/chat", "asPath": "/chat", "query": {}}
_OPEN_SECONDS = 60.0
_ADDRESSES = 8
"""One address may have 200 pages open at a process: ours come from several of this machine."""


@dataclass(eq=False)
class OpenPage:
    """A page that has been filled with its person's data, and now waits."""

    connection: ClientConnection
    opened_seconds: float
    """From the first byte until the person's name was there."""
    _listening: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self._listening = asyncio.create_task(self._answer_pings())

    @property
    def is_open(self) -> bool:
        return not self._listening.done()

    async def closed(self) -> None:
        """Return when it is not open any more."""
        await asyncio.wait({self._listening})

    async def close(self) -> None:
        await self.connection.close()
        await self._listening

    async def _answer_pings(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.connection:
                await _answer(self.connection, str(frame))


async def open_page(url: str, *, cookie: str, number: int, name: str) -> OpenPage:
    """Open a tab in which somebody is signed in, and wait until it shows their name."""
    began = time.perf_counter()
    async with asyncio.timeout(_OPEN_SECONDS):
        address = url.replace("http", "ws", 1)
        connection = await connect(
            f"{address}{_NAMESPACE}/?EIO=4&transport=websocket&token=t{number}",
            origin=url,  # pyright: ignore[reportArgumentType]
            additional_headers={"Cookie": cookie},
            local_addr=(f"127.0.0.{2 + number % _ADDRESSES}", 0),
            max_size=None,
            ping_interval=None,
        )
        try:
            await _fill(connection, name)
        except BaseException:
            await connection.close()
            raise
    return OpenPage(connection, time.perf_counter() - began)


async def _fill(connection: ClientConnection, name: str) -> None:
    """Do what a page does when it opens, until the name has arrived."""
    await connection.send(f"40{_NAMESPACE},")
    heard = ""
    while f"40{_NAMESPACE}" not in heard:
        heard = await _hear(connection)
    for event in _OPENING:
        told: dict[str, object] = {"name": event, "payload": {}, "router_data": _ROUTER}
        await connection.send(f"42{_NAMESPACE},{json.dumps(['event', told])}")
    while name not in heard:
        heard = await _hear(connection)


async def _hear(connection: ClientConnection) -> str:
    frame = str(await connection.recv())
    await _answer(connection, frame)
    return frame


async def _answer(connection: ClientConnection, frame: str) -> None:
    if frame == "2":
        await connection.send("3")
