"""Counts the API's responses by route and status, for Prometheus."""

from collections.abc import Callable
from functools import cache

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat_platform.process.metrics import REGISTRY

METRICS_PATH = "/metrics"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_RESPONSES = Counter(
    "chat_platform_api_responses",
    "The API's responses",
    ["method", "route", "status"],
    registry=REGISTRY,
)
_responses = cache(_RESPONSES.labels)


class RequestCounts:
    """Asks `route_at` for the route's template: paths contain ids."""

    def __init__(self, app: ASGIApp, route_at: Callable[[str], str]) -> None:
        self._app, self._route_at = app, route_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A scrape that counted itself would change what it reads.
        if scope["type"] != "http" or scope["path"] == METRICS_PATH:
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                _responses(method, self._route_at(scope["path"]), str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, send_counted)
