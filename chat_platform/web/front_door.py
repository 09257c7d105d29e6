"""Sends each request to the API, the proxy, Reflex's socket or a built page.

Built pages are chosen by language and guarded by the sign-in cookie; what a page may load and who
may open its socket is decided here. Knows no account beyond who is signed in.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from chat_platform.context import app_context
from chat_platform.ids import new_id
from chat_platform.models import Account
from chat_platform.sign_in import caller_from_cookie
from chat_platform.web.built_pages import BuiltFile, BuiltPages
from chat_platform.web.i18n import LANGUAGES
from chat_platform.web.visitor import LANGUAGE_COOKIE, language_of_visitor

log = structlog.get_logger()

PROXY_PREFIX = "/api/v1/llm-proxy/"
GUARDED = ("/chat", "/memory", "/usage", "/settings", "/admin")
FOR_STRANGERS = ("/login", "/register", "/confirm", "/forgot")
_SOCKET = "/_event"
_YEAR_SECONDS = 31_536_000
_PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class FrontDoor:
    """The one ASGI application behind the port. `reflex` keeps the socket and nothing else."""

    reflex: ASGIApp
    api: ASGIApp
    proxy: ASGIApp
    pages: BuiltPages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope)(scope, receive, send)

    def _door(self, scope: Scope) -> ASGIApp:
        path: str = scope.get("path", "")
        if scope["type"] not in ("http", "websocket"):
            return self.reflex
        if path.startswith(_SOCKET):
            return self.reflex if _may_open_socket(scope) else _refuse
        if scope["type"] == "websocket":
            return _refuse
        if path.startswith(PROXY_PREFIX):
            return self.proxy
        if path == "/api" or path.startswith("/api/") or path == "/metrics":
            return self.api
        return self._page

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope["path"], scope)
        except Exception:
            response = self._sorry(Headers(scope=scope))
        await response(scope, receive, send)

    def _sorry(self, headers: Headers) -> Response:
        """Answer for an exception that nobody foresaw; called while it is handled."""
        request_id = new_id()
        log.exception("page.failed", request_id=request_id)
        language = language_of_visitor(
            headers.get("cookie", ""), headers.get("accept-language", "")
        )
        response = _page_file(self.pages.error_page(language), headers, language)
        response.status_code = 500
        response.headers["X-Request-Id"] = request_id
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _answer(self, path: str, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method not allowed", 405, {"Allow": "GET, HEAD"})
        if asset := self.pages.asset(path):
            return _file(asset, headers, _asset_cache(path))
        account = await _signed_in(headers)
        if elsewhere := _redirect(path.rstrip("/") or "/", scope, account):
            return elsewhere
        language, chosen = _language(scope, headers, account)
        page = self.pages.page(path, language)
        shown = page or self.pages.missing_page(language)
        if shown and app_context().settings.is_demo:
            shown = shown.for_demo
        response = _page_file(shown, headers, language)
        if page is None:
            response.status_code = 404
        if chosen:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_SECONDS, samesite="lax")
        return response


def _may_open_socket(scope: Scope) -> bool:
    """Refuse other sites' pages: a browser always tells where the page that asks is from."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return True
    settings = app_context().settings
    return urlsplit(origin).netloc == headers.get("host") or origin in settings.origins


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await WebSocketClose(1008)(scope, receive, send)
    else:
        await PlainTextResponse("Not allowed", 403)(scope, receive, send)


async def _signed_in(headers: Headers) -> Account | None:
    caller = await caller_from_cookie(app_context(), headers.get("cookie", ""))
    return caller.account if caller else None


def _redirect(path: str, scope: Scope, account: Account | None) -> Response | None:
    if path == "/" or (account and path in FOR_STRANGERS):
        return RedirectResponse("/chat" if account else "/login", 303)
    if path in GUARDED and account is None:
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = f"{path}?{query}" if query else path
        suffix = "" if wanted == "/chat" else "?" + urlencode({"next": wanted})
        return RedirectResponse(f"/login{suffix}", 303)
    return None


def _language(scope: Scope, headers: Headers, account: Account | None) -> tuple[str, bool]:
    """Return the language to show, and whether this request chose it by `?language=`."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("language", [""])[0]
    if asked in LANGUAGES:
        return asked, True
    if account and account.language in LANGUAGES:
        return account.language, False
    return language_of_visitor(headers.get("cookie", ""), headers.get("accept-language", "")), False


def _asset_cache(path: str) -> str:
    # Only what the build names by its content lies in /assets/.
    is_hashed = path.startswith("/assets/")
    return f"public, max-age={_YEAR_SECONDS}, immutable" if is_hashed else "no-cache"


def _page_file(page: BuiltFile | None, headers: Headers, language: str) -> Response:
    if page is None:
        return PlainTextResponse("The pages are not built yet: run `chat-platform build`.", 503)
    response = _file(page, headers, "no-cache")
    response.headers["Content-Security-Policy"] = page.content_policy
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Encoding, Accept-Language, Cookie"
    return response


def _file(file: BuiltFile, headers: Headers, cache: str) -> Response:
    shared = {**_PAGE_HEADERS, "Cache-Control": cache, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=shared)
    for code, body in file.packed.items():
        if code in headers.get("accept-encoding", ""):
            encoded = {**shared, "Content-Encoding": code}
            return Response(body, media_type=file.media_type, headers=encoded)
    return Response(file.body, media_type=file.media_type, headers=shared)
