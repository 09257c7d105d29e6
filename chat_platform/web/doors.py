"""What every request passes before a route: who it is from, for which host, how long, how safe.

Plain ASGI, so that pages, socket, API and proxy share it. Knows no account.
"""

import contextlib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat_platform.errors import PlatformError, TooLarge, UnknownHost
from chat_platform.settings import Settings

Refuse = Callable[[Scope, PlatformError], ASGIApp]
"""How a door words a refusal: an ASGI application that sends it."""
Networks = Iterable[IPv4Network | IPv6Network]

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
MAX_BODY_BYTES = 1_000_000

_CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
    *("Last-Event-ID", "Prefer"),
)
_EXPOSED_HEADERS = ("ETag", "Retry-After")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class KnownHosts:
    """Refuses requests for hosts that are not ours (DNS rebinding); ours are in the settings.

    An address in digits or `localhost` cannot be rebound, so it is always ours.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings], refuse: Refuse) -> None:
        self._app, self._settings, self._refuse = app, settings, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] in ("http", "websocket"):
            host = Headers(scope=scope).get("host", "")
            if not is_known_host(host, self._settings()):
                app = self._refuse(scope, _unknown_host())
        await app(scope, receive, send)


def is_known_host(host: str, settings: Settings) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return True
    ours = (settings.base_url, *settings.origins)
    return name in {urlsplit(url).hostname for url in ours}


def _unknown_host() -> UnknownHost:
    return UnknownHost(
        "This server does not answer for this host. Its operator can add it to ALLOWED_ORIGINS."
    )


class TrustedProxies:
    """Puts the real client's address and scheme into the scope, when a trusted proxy tells it.

    From anyone else the forwarding headers are only somebody's claim, and are ignored.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            trusted = self._settings().trusted_proxy_networks
            if _is_in(scope["client"][0], trusted):
                scope = _told_by_proxy(scope, trusted)
        await self._app(scope, receive, send)


def _told_by_proxy(scope: Scope, trusted: Networks) -> Scope:
    headers = Headers(scope=scope)
    hops = [hop.strip() for hop in ",".join(headers.getlist("x-forwarded-for")).split(",")]
    # The right end was written by the proxy nearest to us; the left end by anyone.
    strangers = [hop for hop in hops if _is_address(hop) and not _is_in(hop, trusted)]
    client = (strangers[-1], 0) if strangers else scope["client"]
    scheme = headers.get("x-forwarded-proto", "").strip().lower()
    is_socket = scope["type"] == "websocket"
    schemes = {"http": "ws", "https": "wss"} if is_socket else {"http": "http", "https": "https"}
    return {**scope, "client": client, "scheme": schemes.get(scheme, scope["scheme"])}


class BodyLimit:
    """Refuses bodies that are longer than a route could want, told or not told beforehand."""

    def __init__(self, app: ASGIApp, refuse: Refuse, *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._refuse, self._max_bytes = app, refuse, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > self._max_bytes:
            await self._refuse(scope, self._too_large())(scope, receive, send)
            return
        await self._run_counting(scope, receive, send)

    async def _run_counting(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0
        has_started = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # An application that is cut off answers nothing that arrives.
            return {"type": "http.disconnect"} if seen > self._max_bytes else message

        async def send_unless_too_large(message: Message) -> None:
            nonlocal has_started
            if seen <= self._max_bytes or has_started:
                has_started = True
                await send(message)

        with contextlib.suppress(ClientDisconnect):
            await self._app(scope, counted, send_unless_too_large)
        if seen > self._max_bytes and not has_started:
            await self._refuse(scope, self._too_large())(scope, receive, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A request may have at most {self._max_bytes:,} bytes.")


class ApiHeaders:
    """Tells browsers to keep, frame and guess nothing of what the API answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Content-Security-Policy", API_POLICY)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["X-Frame-Options"] = "DENY"
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class AllowedOrigins:
    """Lets pages of ALLOWED_ORIGINS read the API's answers; no other site's pages."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app, self._settings = app, settings
        self._cors: CORSMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The settings are read when the server starts, after the application was put together.
        if self._cors is None:
            self._cors = CORSMiddleware(
                self._app,
                allow_origins=sorted(self._settings().origins),
                allow_credentials=True,
                allow_methods=_METHODS,
                allow_headers=_CORS_HEADERS,
                expose_headers=_EXPOSED_HEADERS,
            )
        await self._cors(scope, receive, send)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Networks) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)
