"""Routes each request to the API, the proxy, Reflex's websocket or a built page.

Built pages are chosen by language and protected by the sign-in cookie; this module decides what a
page may load and who may open its websocket. Of accounts it knows only who is signed in.
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from chat_platform.accounts.sign_in import caller_from_cookie
from chat_platform.accounts.sign_in_rows import LONGEST_SIGN_IN_SECONDS
from chat_platform.context import app_context
from chat_platform.models import Account
from chat_platform.process.log_lines import without_words
from chat_platform.values.cookies import (
    is_signed_in_by_old_name,
    set_sign_in_cookie,
    sign_in_secret,
)
from chat_platform.values.ids import new_id
from chat_platform.values.languages import is_language
from chat_platform.web.built_pages import BuiltFile, BuiltPages
from chat_platform.web.methods import allow, options_answer
from chat_platform.web.negotiation import IDENTITY, best_encoding, has_version, header_value
from chat_platform.web.visitor import LANGUAGE_COOKIE, language_of_visitor

log = structlog.get_logger()

PROXY_PREFIX = "/api/v1/llm-proxy/"
GUARDED = ("/chat", "/memory", "/usage", "/settings", "/admin", "/operations")
FOR_STRANGERS = ("/login", "/register", "/confirm", "/forgot")
_SOCKET = "/_event"
_OF_SOCKET = ("GET", "POST")
_OF_PAGES = ("GET", "HEAD")
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
    """The ASGI application behind the port. `reflex` handles only the websocket."""

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
            if not _may_open_socket(scope):
                return _refuse
            return self.reflex if _is_for_socket(scope) else _methods_answer(scope, _OF_SOCKET)
        if scope["type"] == "websocket":
            return _refuse
        if path.startswith(PROXY_PREFIX):
            return self.proxy
        if path == "/api" or path.startswith("/api/") or path.rstrip("/") == "/metrics":
            return self.api
        return self._page

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope["path"], scope)
        except Exception as exc:
            response = self._sorry(exc, Headers(scope=scope))
        await response(scope, receive, send)

    def _sorry(self, exc: Exception, headers: Headers) -> Response:
        """Respond to an unexpected exception, which may quote the request."""
        request_id = new_id()
        log.error("page.failed", request_id=request_id, exception=without_words(exc))
        language = language_of_visitor(
            headers.get("cookie", ""), header_value(headers, "accept-language")
        )
        response = _page_file(self.pages.error_page(language), headers, language, status=500)
        response.headers["X-Request-Id"] = request_id
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _answer(self, path: str, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        if scope["method"] not in _OF_PAGES:
            return _methods_answer(scope, _OF_PAGES)
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
        response = _page_file(shown, headers, language, status=200 if page else 404)
        if chosen:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_SECONDS, samesite="lax")
        if account:
            _rename_old_cookie(scope, headers, response)
        return response


def _methods_answer(scope: Scope, methods: Collection[str]) -> Response:
    """Respond to OPTIONS, and to methods that are not allowed."""
    if scope["method"] == "OPTIONS":
        return options_answer(methods)
    return PlainTextResponse("Method not allowed", 405, {"Allow": allow(methods)})


def _is_for_socket(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] in _OF_SOCKET


def _may_open_socket(scope: Scope) -> bool:
    """Refuse pages of other sites: browsers always send the origin of the page."""
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


def _rename_old_cookie(scope: Scope, headers: Headers, response: Response) -> None:
    """Rename an old sign-in cookie to its `__Host-` name. Needed for one sign-in lifetime."""
    cookies = headers.get("cookie", "")
    if scope["scheme"] == "https" and is_signed_in_by_old_name(cookies):
        set_sign_in_cookie(
            response, sign_in_secret(cookies), scheme="https", seconds=LONGEST_SIGN_IN_SECONDS
        )


def _redirect(path: str, scope: Scope, account: Account | None) -> Response | None:
    root = app_context().settings.root_path
    if path == "/" or (account and path in FOR_STRANGERS):
        return RedirectResponse(f"{root}/chat" if account else f"{root}/login", 303)
    if path in GUARDED and account is None:
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = f"{path}?{query}" if query else path
        suffix = "" if wanted == "/chat" else "?" + urlencode({"next": wanted})
        return RedirectResponse(f"{root}/login{suffix}", 303)
    return None


def _language(scope: Scope, headers: Headers, account: Account | None) -> tuple[str, bool]:
    """Return the language to show, and whether this request chose it with `?language=`."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("language", [""])[0]
    if is_language(asked):
        return asked, True
    if account and is_language(account.language):
        return account.language, False
    return language_of_visitor(
        headers.get("cookie", ""), header_value(headers, "accept-language")
    ), False


def _asset_cache(path: str) -> str:
    # /assets/ contains only files named by their content.
    is_hashed = path.startswith("/assets/")
    return f"public, max-age={_YEAR_SECONDS}, immutable" if is_hashed else "no-cache"


def _page_file(page: BuiltFile | None, headers: Headers, language: str, *, status: int) -> Response:
    if page is None:
        return PlainTextResponse("The pages are not built yet: run `chat-platform build`.", 503)
    response = _file(page, headers, "no-cache", status=status)
    response.headers["Content-Security-Policy"] = page.content_policy
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Encoding, Accept-Language, Cookie"
    return response


def _file(file: BuiltFile, headers: Headers, cache: str, *, status: int = 200) -> Response:
    shared = {**_PAGE_HEADERS, "Cache-Control": cache, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if status == 200 and has_version(header_value(headers, "if-none-match"), file.etag):
        return Response(status_code=304, headers=shared)
    coding = best_encoding(header_value(headers, "accept-encoding"), file.packed)
    if coding != IDENTITY:
        shared["Content-Encoding"] = coding
    body = file.packed.get(coding, file.body)
    return Response(body, status, media_type=file.media_type, headers=shared)
