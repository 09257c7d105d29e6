"""Returns every error as `application/problem+json` (RFC 9457), without internal details."""

from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Scope

from chat_platform.api.deps import AnsweredHead
from chat_platform.database.away import AWAY, unavailable
from chat_platform.errors import FieldError, Invalid, PlatformError, internal_error
from chat_platform.values.ids import new_id
from chat_platform.web.methods import allow

log = structlog.get_logger()

_TITLES = {
    400: "Bad request",
    401: "Sign in first",
    402: "Budget spent",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Unsupported media type",
    421: "Unknown host",
    422: "Invalid input",
    429: "Too many requests",
    500: "Something went wrong",
    502: "Upstream service failed",
    503: "Not available right now",
    504: "Timed out",
}
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(PlatformError, _platform_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    for away in AWAY:
        app.add_exception_handler(away, _database_away)
    app.add_exception_handler(AnsweredHead, _answered_head)
    app.add_exception_handler(Exception, _unknown_error)


def problem(request: Request, error: PlatformError) -> JSONResponse:
    headers: dict[str, str] = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    fields = [{"field": f.field, "message": f.message} for f in error.fields]
    extra: dict[str, object] = {"errors": fields} if fields else {}
    return _answer(
        request,
        status=error.status,
        code=error.code,
        detail=str(error),
        headers=headers,
        **error.extra,
        **extra,
    )


def refusal(scope: Scope, error: PlatformError) -> ASGIApp:
    """Return a refusal made before any route is reached."""
    return problem(Request(scope), error)


def request_id(request: Request) -> str:
    """Return the id that logs and answers share for this request."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = new_id()
    return request.state.request_id


async def _platform_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, PlatformError)
    return problem(request, exc)


async def _validation_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    fields = tuple(_field_error(error) for error in exc.errors())
    return problem(
        request, Invalid("Check the marked fields.", code="validation_failed", fields=fields)
    )


def _field_error(error: dict[str, Any]) -> FieldError:
    if error["type"] == "json_invalid":
        # Its location is an offset into the body, not a field.
        return FieldError("body", f"Not valid JSON: {error['ctx']['error']}")
    return FieldError(".".join(str(part) for part in error["loc"][1:]) or "body", error["msg"])


async def _answered_head(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, AnsweredHead)
    return Response(media_type=exc.media_type)


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        # The router names the methods of one route; a path may have several.
        headers["Allow"] = allow(request.app.state.routes.methods_at(request.url.path))
    return _answer(
        request,
        status=exc.status_code,
        code=_CODES.get(exc.status_code, f"http_{exc.status_code}"),
        detail=str(exc.detail),
        headers=headers,
    )


async def _database_away(request: Request, exc: Exception) -> JSONResponse:
    log.error("request.no_database", error=type(exc).__name__)
    return problem(request, unavailable())


async def _unknown_error(request: Request, _exc: Exception) -> JSONResponse:
    # `RequestLog` has logged it.
    return problem(request, internal_error())


def _answer(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **more: object,
) -> JSONResponse:
    body = {
        "type": f"urn:chat-platform:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id(request),
        **more,
    }
    return JSONResponse(
        body, status_code=status, headers=headers, media_type="application/problem+json"
    )
