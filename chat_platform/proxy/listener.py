"""Serves the proxy on a loopback port of its own, without an ASGI server: for the agent server.

Outsiders reach the same application through the main port. See docs/adr/0020.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.types import ASGIApp

from chat_platform.proxy.connection import Connection
from chat_platform.proxy.limits import Limits
from chat_platform.settings import Settings

GRACE_SECONDS = 4.0
"""How long open calls may continue once the web server has stopped. With the time that running
turns have (`GRACE_SECONDS` of `web/orderly_stop.py`), less than the launcher waits."""

HOST = "127.0.0.1"

_BACKLOG = 1024
_MAX_CONNECTIONS = 4096
_SWEEP_SECONDS = 0.5

log = structlog.get_logger()


@asynccontextmanager
async def on_own_port(app: ASGIApp, settings: Settings) -> AsyncIterator[None]:
    """Serve the application on PROXY_PORT as well, if it is set.

    Raises OSError if that port is taken.
    """
    if not settings.proxy_port:
        yield
        return
    async with listening(app, settings.proxy_port) as port:
        log.info("proxy.listening", port=port)
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp,
    port: int,
    *,
    limits: Limits | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> AsyncIterator[int]:
    """Serve the application on 127.0.0.1; yield the port, which 0 leaves to the system.

    Raises OSError if the port is taken. On the way out nothing new is accepted, and open requests
    have `grace_seconds` to end before they are cancelled.
    """
    listener = _Listener(app, limits or Limits())
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(listener), HOST, port, backlog=_BACKLOG
    )
    sweeping = asyncio.create_task(listener.sweep())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        try:
            await listener.stop(grace_seconds)
        finally:
            sweeping.cancel()


class _Listener:
    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits
        self.is_stopping = False
        self._connections: set[Connection] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._is_empty.clear()
        if self.is_stopping or len(self._connections) > _MAX_CONNECTIONS:
            connection.cut()

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    async def sweep(self) -> None:
        """End what is overdue. One timer for all connections: one for each would cost more."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = clock()
            for connection in [each for each in self._connections if each.deadline < now]:
                connection.expire()

    async def stop(self, grace_seconds: float) -> None:
        """Let open requests end, and what was answered leave; then cancel and cut the rest."""
        self.is_stopping = True
        for connection in list(self._connections):
            connection.stop()
        await self._emptied(grace_seconds)
        open_calls = self._tasks()
        if open_calls:
            log.warning("proxy.calls_cut", calls=len(open_calls))
        for task in open_calls:
            task.cancel()
        await asyncio.gather(*open_calls, return_exceptions=True)
        for connection in list(self._connections):
            connection.cut()

    async def _emptied(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_empty.wait(), seconds)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [each.task for each in self._connections if each.task]
