"""HEAD and OPTIONS for every path of an application, and paths with a trailing slash.

The application handles the rest, and answers a wrong method with `allow` as its `Allow`.
"""

import asyncio
from collections.abc import Callable, Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MethodsAt = Callable[[str], Collection[str]]
"""Returns the methods of a path, none for an unknown path."""

_IS_HEAD = "chat_platform.is_head"


class Methods:
    """Handles `/path/` as `/path`, HEAD as GET without a body, and OPTIONS with `Allow`."""

    def __init__(self, app: ASGIApp, methods_at: MethodsAt) -> None:
        self._app, self._methods_at = app, methods_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = without_end_slash(scope)
        app = self._app
        # No lookup for the usual methods.
        if scope["method"] in ("HEAD", "OPTIONS"):
            methods = self._methods_at(scope["path"])
            if scope["method"] == "OPTIONS" and methods:
                app = options_answer(methods)
            elif scope["method"] in methods:
                await answer_head(app, scope, receive, send)
                return
        await app(scope, receive, send)


def without_end_slash(scope: Scope) -> Scope:
    path: str = scope["path"]
    if len(path) > 1 and path.endswith("/"):
        return {**scope, "path": path.rstrip("/") or "/"}
    return scope


def allow(methods: Collection[str]) -> str:
    return ", ".join(sorted(methods))


def options_answer(methods: Collection[str]) -> Response:
    return Response(status_code=204, headers={"Allow": allow(methods)})


def is_head(scope: Scope) -> bool:
    """Tell whether the body is not needed, so that a GET's side effects should be skipped."""
    return bool(scope.get(_IS_HEAD))


async def answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond as the GET would, headers only; a stream is cut off as soon as it begins."""
    head = _HeadAnswer(send)

    async def get() -> None:
        await app({**scope, "method": "GET", _IS_HEAD: True}, receive, head)

    getting = asyncio.create_task(get())
    head.stop = getting.cancel
    try:
        await getting
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if not head.is_cut or (own and own.cancelling()):
            raise


class _HeadAnswer:
    """The `send` for an application that does not know that only headers are wanted."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self.stop: Callable[[], object] = lambda: None
        self.is_cut = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif self._start is not None:
            start, self._start = self._start, None
            more = message.get("more_body", False)
            await self._send(start if message.get("body") or more else _of_unknown_length(start))
            await self._send({"type": "http.response.body", "body": b""})
            if more:
                self.is_cut = True
                self.stop()


def _of_unknown_length(start: Message) -> Message:
    """Leave out the length of a body that was never produced."""
    headers = MutableHeaders(raw=list(start.get("headers", ())))
    del headers["content-length"]
    return {**start, "headers": headers.raw}
