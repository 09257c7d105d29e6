"""What the OpenAPI document says of failures: of each route, those that it can really answer.

Most follow from what a route asks for: a body, a sign-in, a scope. A dependency says with
`may_answer` what it refuses; a route adds what its domain function raises, with `problems`.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

Function = TypeVar("Function", bound=Callable[..., Any])
Responses = dict[int | str, dict[str, Any]]

_MEDIA_TYPE = "application/problem+json"
_DESCRIPTIONS = {
    400: "The request itself is broken.",
    401: "No credential, or one that is not valid.",
    402: "The budget is spent.",
    403: "The credential does not allow this.",
    404: "There is no such thing, or it is somebody else's.",
    409: "It does not fit what there is now.",
    412: "It changed meanwhile.",
    413: "The body is too large.",
    422: "The input is not right; `errors` says where.",
    429: "Too often; `Retry-After` says how long to wait.",
    502: "A service behind us failed.",
    503: "A service behind us does not answer.",
}
_STATUSES = "problem_statuses"
_OF_A_BODY = (400, 413, 422)
_OF_INPUT = (422,)
_OF_AN_ID = (404,)
DESCRIPTION = """
Every failure is `application/problem+json` (RFC 9457) with a stable `code`. Each operation lists
those that it can answer; besides, an unexpected failure is a 500 of the same shape.
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
    """Return what a route declares as `responses` for failures of its own."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {_MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def may_answer(*statuses: int) -> Callable[[Function], Function]:
    """Mark a dependency with the problems that it raises, for every route that has it."""

    def mark(function: Function) -> Function:
        setattr(function, _STATUSES, statuses)
        return function

    return mark


def declare_problems(router: APIRouter) -> None:
    """Add to each route what follows from what it asks for. May be repeated."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.responses = problems(*sorted(_follow_from(route))) | route.responses


def _follow_from(route: APIRoute) -> set[int]:
    found = {status for each in _dependencies(route.dependant) for status in _marked(each)}
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
    """Put the Problem that routes refer to into the document."""
    generate = api.openapi

    def with_problem() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        return document

    api.openapi = with_problem
