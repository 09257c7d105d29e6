"""Checks that every request passes before a route: host, size, security headers.

Plain ASGI, shared by pages, websocket, API and proxy. The client's address: `forwarding.py`.
"""

import contextlib
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from chat_platform.errors import PlatformError, TooLarge, UnknownHost
from chat_platform.settings import Settings
from chat_platform.values.json_size import BodySize

Refuse = Callable[[Scope, PlatformError], ASGIApp]
"""How a refusal is formatted: an ASGI application that sends it."""

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
MAX_BODY_BYTES = 1_000_000
MAX_BODY_PARTS = 25_000
"""Lists, objects and members: more than the longest message has characters."""
MAX_FORM_BYTES = 64_000
"""Forms are parsed byte by byte; the longest that a page sends has a few thousand."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/")
HEALTH_PATHS = ("/api/v1/health/live", "/api/v1/health/ready")

_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
    *("Last-Event-ID", "Prefer"),
)
_EXPOSED_HEADERS = ("ETag", "RateLimit", "RateLimit-Policy", "Retry-After")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class KnownHosts:
    """Refuses requests for foreign hosts (DNS rebinding); our hosts are in the settings.

    A numeric address or `localhost` cannot be rebound, so it always counts as ours. Health checks
    work under any host, as their clients use names of their own (`healthcheck.railway.app`).
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings], refuse: Refuse) -> None:
        self._app, self._settings, self._refuse = app, settings, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] in ("http", "websocket"):
            host = Headers(scope=scope).get("host", "")
            is_health = scope["path"].rstrip("/") in HEALTH_PATHS
            is_ours = is_health or is_known_host(host, self._settings())
            if not is_ours and scope["type"] == "websocket":
                # No message: a websocket is refused before it is accepted.
                await receive()
                await WebSocketClose(1008)(scope, receive, send)
                return
            if not is_ours:
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
        "This server does not serve this host. Its operator can add it to ALLOWED_ORIGINS."
    )


class OnlyHttps:
    """Tells browsers that used https to keep using it (HSTS), on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["scheme"] != "https":
            await self._app(scope, receive, send)
            return

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _STRICT_TRANSPORT]
            await send(message)

        await self._app(scope, receive, send_with_header)


class BodyLimit:
    """Refuses bodies that are longer than any route needs, declared or not.

    Also refuses short bodies that take long to parse: JSON with too many parts.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse, *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._refuse, self._max_bytes = app, refuse, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told, most = headers.get("content-length", "0"), self._most_bytes(headers)
        if not told.isdecimal() or int(told) > most:
            await self._refuse(scope, _too_large(most))(scope, receive, send)
            return
        await self._run_counting(scope, receive, send, most)

    def _most_bytes(self, headers: Headers) -> int:
        is_form = headers.get("content-type", "").lower().startswith(_FORMS)
        return min(MAX_FORM_BYTES, self._max_bytes) if is_form else self._max_bytes

    async def _run_counting(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        size = BodySize()
        refusal: TooLarge | None = None
        has_started = False

        async def counted() -> Message:
            nonlocal refusal
            message = await receive()
            size.add(message.get("body", b""))
            refusal = refusal or _refusal(size, most)
            # After a cut-off, nothing the application sends is passed on.
            return {"type": "http.disconnect"} if refusal else message

        async def send_unless_too_large(message: Message) -> None:
            nonlocal has_started
            if not refusal or has_started:
                has_started = True
                await send(message)

        with contextlib.suppress(ClientDisconnect):
            await self._app(scope, counted, send_unless_too_large)
        if refusal and not has_started:
            await self._refuse(scope, refusal)(scope, receive, send)


def _refusal(size: BodySize, most_bytes: int) -> TooLarge | None:
    if size.length > most_bytes:
        return _too_large(most_bytes)
    if size.parts > MAX_BODY_PARTS:
        return TooLarge(
            "A request may have at most {most} lists, objects and members.",
            values={"most": MAX_BODY_PARTS},
        )
    return None


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge("A request may have at most {most} bytes.", values={"most": most_bytes})


class ApiHeaders:
    """Tells browsers not to cache, frame or sniff the API's responses."""

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
            await send(message)

        await self._app(scope, receive, send_with_headers)


class AllowedOrigins:
    """Lets pages on ALLOWED_ORIGINS, and no others, read the API's responses (CORS)."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app, self._settings = app, settings
        self._cors: CORSMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The settings are read when the server starts, after the application is assembled.
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
