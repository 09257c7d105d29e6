"""Refuses bodies of the wrong type, saying what to send instead."""

from collections.abc import Callable
from typing import LiteralString

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_platform.errors import UnsupportedMediaType
from chat_platform.web.doors import Refuse

BodyOf = Callable[[str, str], str | None]
"""Returns, by method and path, whether a body is `json` or `form`; None: it is not read."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_INSTEAD: dict[str, LiteralString] = {
    "json": "Send the body as JSON, with the header `Content-Type: application/json`.",
    "form": f"Send the body as a form: `Content-Type: {_FORMS[0]}`.",
}


class BodyTypes:
    """Runs before the routes, when nothing of the body has been read."""

    def __init__(self, app: ASGIApp, refuse: Refuse, body_of: BodyOf) -> None:
        self._app, self._refuse, self._body_of = app, refuse, body_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["method"] != "GET":
            headers = Headers(scope=scope)
            body = self._body_of(scope["method"], scope["path"]) if _has_body(headers) else None
            words = body and why_unreadable(
                body, headers.get("content-type", ""), headers.get("content-encoding", "")
            )
            if words:
                app = self._refuse(scope, UnsupportedMediaType(words))
        await app(scope, receive, send)


def why_unreadable(body: str, content_type: str, content_encoding: str) -> LiteralString:
    """Return the message for a body that cannot be read; an empty string for one that can.

    A body without a type is assumed to be what the route expects: the parser decides.
    """
    if content_encoding.strip().lower() not in ("", "identity"):
        return "Send the body uncompressed: `Content-Encoding` is not supported."
    media_type = content_type.partition(";")[0].strip().lower()
    is_fine = not media_type or (is_json(media_type) if body == "json" else media_type in _FORMS)
    return "" if is_fine else _INSTEAD[body]


def is_json(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
