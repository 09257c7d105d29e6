"""What the OpenAPI document says of failures: every route may answer each of these problems."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

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
    500: "Something went wrong on our side.",
    502: "A service behind us failed.",
    503: "A service behind us does not answer.",
    504: "A service behind us took too long.",
}


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


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Return what routers declare beside their own answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": words, "content": {_MEDIA_TYPE: {"schema": schema}}}
        for status, words in _DESCRIPTIONS.items()
    }


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
