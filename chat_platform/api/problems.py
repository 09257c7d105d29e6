"""Answers every failure as `application/problem+json` (RFC 9457), with its words alone."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Scope

from chat_platform.errors import FieldError, Invalid, PlatformError
from chat_platform.ids import new_id

log = structlog.get_logger()

_TITLES = {
    400: "Bad request",
    401: "Sign in first",
    402: "Budget spent",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    421: "Not our host",
    422: "Invalid input",
    429: "Too many requests",
    500: "Something went wrong",
    502: "A service behind us failed",
    503: "Not available right now",
    504: "Took too long",
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
    app.add_exception_handler(Exception, _unknown_error)


def problem(request: Request, error: PlatformError) -> JSONResponse:
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    fields = [{"field": f.field, "message": f.message} for f in error.fields]
    return _answer(
        request,
        status=error.status,
        code=error.code,
        detail=error.message,
        headers=headers,
        **error.extra,
        **({"errors": fields} if fields else {}),
    )


def refusal(scope: Scope, error: PlatformError) -> ASGIApp:
    """Word a refusal that comes before any route."""
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
        # Its place is an offset into the body, which names no field.
        return FieldError("body", f"Not valid JSON: {error['ctx']['error']}")
    return FieldError(".".join(str(part) for part in error["loc"][1:]) or "body", error["msg"])


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        # The router names the methods of one route; a path may have several.
        headers["Allow"] = ", ".join(_methods_at(request.app, request.url.path))
    return _answer(
        request,
        status=exc.status_code,
        code=_CODES.get(exc.status_code, f"http_{exc.status_code}"),
        detail=str(exc.detail),
        headers=headers,
    )


def _methods_at(app: FastAPI, path: str) -> list[str]:
    paths = app.openapi()["paths"]
    found = {
        method for known in paths if compile_path(known)[0].match(path) for method in paths[known]
    }
    return sorted(method.upper() for method in found)


async def _unknown_error(request: Request, exc: Exception) -> JSONResponse:
    log.error("request.failed", request_id=request_id(request), path=request.url.path, exc_info=exc)
    return _answer(
        request,
        status=500,
        code="internal_error",
        detail="Something went wrong on our side. Try again; if it stays, send us the request id.",
    )


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
