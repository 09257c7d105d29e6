"""Each route lists the failures it can return, derived from what it requires, not from one table.

In addition, every answer that any test gets is checked against the document (`documented.py`).
"""

from typing import Any

import pytest

from chat_platform.api.app import create_api

DOCUMENT: dict[str, Any] = create_api().openapi()
OPERATIONS = {
    f"{method.upper()} {path.removeprefix('/api/v1')}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def failures(operation: dict[str, Any]) -> set[int]:
    return {int(status) for status in operation["responses"] if int(status) >= 400}


@pytest.mark.parametrize(
    ("operation", "listed"),
    [
        ("GET /health/live", set()),
        ("GET /auth/me", {401, 403, 429, 503}),
        ("GET /user/tokens", {401, 403, 429, 503}),
        ("DELETE /user/tokens/{token_id}", {401, 403, 404, 422, 503}),
        ("POST /auth/refresh", {400, 401, 403, 413, 415, 422}),
        ("GET /admin/audit", {401, 403, 404, 422, 429, 503}),
        ("POST /session/logout", {403}),
        (
            "POST /chat/message",
            {400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 502, 503},
        ),
    ],
)
def test_a_route_lists_what_it_can_answer_and_no_more(operation: str, listed: set[int]):
    assert failures(OPERATIONS[operation]) == listed


def test_only_what_may_spend_or_change_memory_tells_of_it():
    assert {name for name, op in OPERATIONS.items() if 402 in failures(op)} == {
        "POST /chat/message",
        "GET /agent/passages",
        "POST /agent/passages",
    }
    assert [name for name, op in OPERATIONS.items() if 412 in failures(op)] == [
        "PUT /agent/memory/{label}"
    ]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_failure_is_a_problem(operation: dict[str, Any]):
    for status in failures(operation):
        content = operation["responses"][str(status)]["content"]
        is_readiness = "Ready" in str(content)
        assert is_readiness or content == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }


def test_guarded_routes_tell_of_missing_credentials_and_open_ones_of_none():
    may_be_wrong = {"/auth/login", "/auth/refresh", "/auth/confirm", "/auth/reset/confirm"}
    for name, operation in OPERATIONS.items():
        tells = 401 in failures(operation)
        assert tells == ("security" in operation or name.split()[1] in may_be_wrong), name
