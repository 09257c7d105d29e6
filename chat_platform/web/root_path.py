"""A path prefix for everything (ROOT_PATH), for platforms served under a path by a proxy."""

from starlette.types import ASGIApp, Receive, Scope, Send


class UnderRootPath:
    """Removes the prefix, so that everything below sees its own paths.

    Requests without it are served too: from the agent server, health checks and proxies that remove
    it themselves.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root_path = app, root_path
        self._raw = root_path.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and self._is_under(scope["path"]):
            raw = scope.get("raw_path") or b""
            scope = {
                **scope,
                "path": scope["path"][len(self._root_path) :] or "/",
                "raw_path": raw.removeprefix(self._raw) or b"/",
            }
        await self._app(scope, receive, send)

    def _is_under(self, path: str) -> bool:
        return path == self._root_path or path.startswith(f"{self._root_path}/")
