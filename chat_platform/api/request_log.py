"""Names each request in the log: its id is in every line written for it, and in its last one."""

import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from chat_platform.api.request_counts import METRICS_PATH
from chat_platform.process.log_lines import without_words
from chat_platform.turns.tracing import trace_request
from chat_platform.values.ids import new_id
from chat_platform.web.doors import HEALTH_PATHS

log = structlog.get_logger()

_PROBES = (METRICS_PATH, *HEALTH_PATHS)
"""Programs ask these every few seconds; only their failures are logged."""


class RequestLog:
    """Logs how each request ended: its route and never its path, which anyone can write.

    `route_at` returns a route's template. The id is also that of an error's response.
    """

    def __init__(self, app: ASGIApp, route_at: Callable[[str], str]) -> None:
        self._app, self._route_at = app, route_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        _name(scope)

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as exc:
            log.error("request.failed", exception=without_words(exc))
            raise
        finally:
            self._note(scope, status, time.perf_counter() - began)
            clear_contextvars()

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] in _PROBES and status < 400:
            return
        method, route = scope["method"][:10], self._route_at(scope["path"])
        ms = round(seconds * 1000)
        log.info("request.ended", method=method, route=route, status=status, ms=ms)
        trace_request(
            scope["app"].state.ctx,
            f"{method} {route}",
            began_ns=time.time_ns() - ms * 1_000_000,
            error=str(status) if status >= 500 else None,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            },
        )


def _name(scope: Scope) -> None:
    """Give the request an id. Servers may answer several requests in one context or state."""
    request_id = new_id()
    scope["state"] = {**scope.get("state", {}), "request_id": request_id}
    clear_contextvars()
    bind_contextvars(request_id=request_id)
