"""Documents errors in the OpenAPI document: for each route, those it can actually return.

Most follow from a route's dependencies: a body, a sign-in, a scope. A dependency declares its
errors with `may_answer`; a route adds what its domain function raises, with `problems`.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from chat_platform.accounts.limits import rule_of
from chat_platform.process.rate_limits import READS_OF_ACCOUNT

Function = TypeVar("Function", bound=Callable[..., Any])
Responses = dict[int | str, dict[str, Any]]

_MEDIA_TYPE = "application/problem+json"
_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "The credential is missing or not valid.",
    402: "The budget is spent.",
    403: "The credential does not allow this.",
    404: "It does not exist, or belongs to someone else.",
    409: "It conflicts with the current state.",
    412: "It has changed in the meantime.",
    413: "The body is too large.",
    415: "The body is compressed, or its type is not the one listed here.",
    422: "The input is not valid; `errors` says where.",
    429: "Too many requests; `Retry-After` says how long to wait, `RateLimit` how many are left.",
    502: "An upstream service failed.",
    503: "An upstream service is not responding.",
}
_STATUSES = "problem_statuses"
_OF_A_BODY = (400, 413, 415, 422)
_OF_INPUT = (422,)
_OF_AN_ID = (404,)
DESCRIPTION = """
Every error is `application/problem+json` (RFC 9457) with a stable `code`. Each operation lists the
errors it can return; an unexpected failure is a 500 in the same format.

Rate limits apply to a person, whatever the credential. `RateLimit-Policy: "search";q=120;w=60` is
the rule (at most 120 in 60 seconds) and `RateLimit: "search";r=119;t=60` its current state (119
left, reset in 60 seconds), as in the IETF draft of these headers.
"""


class ProblemField(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[ProblemField] = []


def problems(*statuses: int) -> Responses:
    """Return the `responses` that a route declares for its own errors."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {_MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def may_answer(*statuses: int) -> Callable[[Function], Function]:
    """Mark a dependency with the errors it raises, for every route that uses it."""

    def mark(function: Function) -> Function:
        setattr(function, _STATUSES, statuses)
        return function

    return mark


def declare_problems(router: APIRouter) -> None:
    """Add to each route the errors of its dependencies. Can be repeated."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.responses = problems(*sorted(_follow_from(route))) | route.responses


def _follow_from(route: APIRoute) -> set[int]:
    found = {status for each in _dependencies(route.dependant) for status in _marked(each)}
    if rule_of(route.endpoint, READS_OF_ACCOUNT) is None:
        # Not counted with the credential; what the route counts itself, it declares.
        found.discard(429)
    if route.body_field:
        found |= {*_OF_A_BODY}
    for each in _dependencies(route.dependant):
        if each.path_params or each.query_params:
            found |= {*_OF_INPUT}
        if each.path_params:
            found |= {*_OF_AN_ID}
    return found


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from _dependencies(below)


def _marked(dependant: Dependant) -> tuple[int, ...]:
    return getattr(dependant.call, _STATUSES, ())


def describe_problems(api: FastAPI) -> None:
    """Add the Problem schema that routes refer to."""
    generate = api.openapi

    def with_problem() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        _tell_root_path(api, document)
        return document

    api.openapi = with_problem


def _tell_root_path(api: FastAPI, document: dict[str, Any]) -> None:
    """Set the server's base path; by then the API has its context."""
    ctx = getattr(api.state, "ctx", None)
    if ctx is not None and ctx.settings.root_path:
        document["servers"] = [{"url": ctx.settings.root_path}]
    else:
        document.pop("servers", None)
