"""Limits the pages' websockets: their number, message size, message rate and idle time.

Without a sign-in the limits are far lower. Messages are read only by `page_sockets.py`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from chat_platform.values.network_addresses import counted_as

log = structlog.get_logger()

TOO_MUCH, TOO_LARGE, RESTARTING, TRY_LATER = 1008, 1009, 1012, 1013
SOCKET_NAMESPACE = "/_event"
"""The Socket.IO path of the pages; prefixed with ROOT_PATH."""
_PONG = "3"
_LOOK_SECONDS = 1.0

SignedIn = Callable[[str], Awaitable[bool]]
"""Tells from a Cookie header whether somebody is signed in."""


@dataclass(frozen=True)
class Allowance:
    """The limits of one websocket."""

    max_bytes: int
    """For one message; the event with the longest text for the agent fits."""
    burst: int
    """Messages in a burst, for example when a page opens."""
    messages_a_second: float
    idle_seconds: float
    """How long it may be open without a message; replies to pings do not count."""


@dataclass(frozen=True)
class SocketLimits:
    max_sockets: int = 2000
    """Per process."""
    max_sockets_of_strangers: int = 500
    max_of_address: int = 200
    max_of_strangers_address: int = 30
    signed_in: Allowance = Allowance(400_000, 300, 50, float("inf"))
    strangers: Allowance = Allowance(32_000, 150, 5, 600)


@dataclass(eq=False)
class _Socket:
    address: str
    is_signed_in: bool
    allowance: Allowance
    send: Send
    used: float = 0.0
    counted_at: float = field(default_factory=time.monotonic)
    heard_at: float = field(default_factory=time.monotonic)

    def refuses(self, message: str | bytes) -> int | None:
        """Count a message; return the close code if it exceeds the limit."""
        now = time.monotonic()
        forgotten = (now - self.counted_at) * self.allowance.messages_a_second
        self.used, self.counted_at = max(0.0, self.used - forgotten) + 1, now
        if message != _PONG:
            self.heard_at = now
        if len(message) > self.allowance.max_bytes:
            return TOO_LARGE
        return TOO_MUCH if self.used > self.allowance.burst else None

    @property
    def is_idle(self) -> bool:
        return time.monotonic() - self.heard_at > self.allowance.idle_seconds


class OpenSockets(set[_Socket]):
    """The open websockets of this process."""

    async def let_all_go(self) -> None:
        """Close them such that their pages connect again at once."""
        closing = {"type": "websocket.close", "code": RESTARTING}
        await asyncio.gather(*(socket.send(closing) for socket in self), return_exceptions=True)


class SocketDoor:
    """Wraps the websocket's application; everything else passes through."""

    def __init__(
        self,
        app: ASGIApp,
        is_signed_in: SignedIn,
        limits: SocketLimits | None = None,
        *,
        root_path: str = "",
        sockets: OpenSockets | None = None,
    ) -> None:
        # Socket.IO's deliberate disconnect: the page does not reconnect by itself.
        self._goodbye = f"41{root_path}{SOCKET_NAMESPACE},"
        self._app, self._is_signed_in = app, is_signed_in
        self._limits = limits or SocketLimits()
        self._open = OpenSockets() if sockets is None else sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        address = counted_as(scope["client"][0] if scope.get("client") else "")
        # Before the database is queried: many strangers must not keep it busy.
        signed_in = self._has_room(address) and await self._is_signed_in(
            Headers(scope=scope).get("cookie", "")
        )
        if not self._has_room(address, for_stranger=not signed_in):
            log.warning("page_socket.refused", open_sockets=len(self._open), address=address)
            await receive()
            await WebSocketClose(TRY_LATER)(scope, receive, send)
            return
        limits = self._limits
        allowance = limits.signed_in if signed_in else limits.strangers
        socket = _Socket(address, signed_in, allowance, send)
        self._open.add(socket)
        try:
            await self._app(scope, _Listening(socket, receive, send, self._goodbye), send)
        finally:
            self._open.discard(socket)

    def _has_room(self, address: str, *, for_stranger: bool = False) -> bool:
        limits = self._limits
        of_address = [socket for socket in self._open if socket.address == address]
        if len(self._open) >= limits.max_sockets or len(of_address) >= limits.max_of_address:
            return False
        if not for_stranger:
            return True
        strangers = sum(not socket.is_signed_in for socket in self._open)
        of_strangers = sum(not socket.is_signed_in for socket in of_address)
        return (
            strangers < limits.max_sockets_of_strangers
            and of_strangers < limits.max_of_strangers_address
        )


class _Listening:
    """The `receive` of one websocket: passes on allowed messages, and disconnects at the limits."""

    def __init__(self, socket: _Socket, receive: Receive, send: Send, goodbye: str) -> None:
        self._goodbye = goodbye
        self._socket, self._receive, self._send = socket, receive, send
        is_endless = socket.allowance.idle_seconds == float("inf")
        self._look_seconds = None if is_endless else _LOOK_SECONDS

    async def __call__(self) -> Message:
        message = await self._heard()
        if message is None:
            return await self._hang_up(1000, self._goodbye)
        said = message.get("text") or message.get("bytes") or ""
        code = self._socket.refuses(said) if message["type"] == "websocket.receive" else None
        if code is None:
            return message
        log.warning("page_socket.closed", code=code, characters=len(said))
        # Without a deliberate disconnect, so that a page with a hiccup reconnects at once.
        return await self._hang_up(code)

    async def _heard(self) -> Message | None:
        """Return the next message, or None if the websocket has been idle for too long."""
        coming = asyncio.ensure_future(self._receive())
        try:
            while not coming.done() and not self._socket.is_idle:
                await asyncio.wait({coming}, timeout=self._look_seconds)
            return coming.result() if coming.done() else None
        finally:
            coming.cancel()

    async def _hang_up(self, code: int, goodbye: str = "") -> Message:
        with suppress(Exception):
            if goodbye:
                await self._send({"type": "websocket.send", "text": goodbye})
            await self._send({"type": "websocket.close", "code": code})
        return {"type": "websocket.disconnect", "code": code}
