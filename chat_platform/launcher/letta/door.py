"""Guards the embedded Letta: only the routes the platform calls, only with the password.

Runs inside Letta's own environment, so it imports only the standard library. Letta's own check
takes the path from a URL that the `Host` header can manipulate (CVE-2026-48710); this one uses the
path by which the server chooses the route, and closes every route that we do not need.
"""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

HEALTH = "/v1/health/"
# With its kind as a prefix: a bare word could be another route (`/v1/agents/count`).
_ID = r"[a-z]+-[\w-]+"
_LABEL = r"[\w-]+"
_ROUTES = (
    ("GET POST", "/v1/agents/"),
    ("GET PATCH DELETE", f"/v1/agents/{_ID}"),
    ("GET", f"/v1/agents/{_ID}/context"),
    ("GET", f"/v1/agents/{_ID}/core-memory/blocks"),
    ("PATCH", f"/v1/agents/{_ID}/core-memory/blocks/{_LABEL}"),
    ("POST", f"/v1/agents/{_ID}/messages"),
    ("POST", f"/v1/agents/{_ID}/messages/cancel"),
    ("GET POST", f"/v1/agents/{_ID}/archival-memory"),
    ("GET", f"/v1/agents/{_ID}/archival-memory/search"),
    ("DELETE", f"/v1/agents/{_ID}/archival-memory/{_ID}"),
    ("GET", "/v1/archives/"),
    ("DELETE", f"/v1/archives/{_ID}"),
    ("DELETE", f"/v1/archives/{_ID}/passages/{_ID}"),
    ("DELETE", f"/v1/blocks/{_ID}"),
    ("POST", f"/v1/runs/{_ID}/stream"),
)
"""What `chat_platform/adapters/letta/` calls. Letta's other routes run tools, fetch and import."""
OPEN_ROUTES = tuple(
    (method, re.compile(path)) for methods, path in _ROUTES for method in methods.split()
)


class Door:
    """Passes a request on if its host, route and password are right; otherwise refuses it."""

    def __init__(self, app: App, *, password: str, hosts: Iterable[str]) -> None:
        self._app = app
        self._authorization = f"Bearer {password}".encode()
        self._hosts = {host.encode() for host in hosts}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self._refusal(scope):
            await _answer(send, *refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        method, path = scope["method"], scope["path"]
        # Under any host, as health checks use names of their own (`healthcheck.railway.app`).
        if (method, path) == ("GET", HEALTH):
            return None
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This server does not serve this host."
        if not self._knows_password(_values(scope, b"authorization")):
            return 401, "The password is missing or wrong."
        if not any(method == known and route.fullmatch(path) for known, route in OPEN_ROUTES):
            return 404, "Not found."
        return None

    def _knows_password(self, given: list[bytes]) -> bool:
        return len(given) == 1 and hmac.compare_digest(given[0], self._authorization)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def _answer(send: Any, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
