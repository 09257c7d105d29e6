"""Checks every answer that a test gets from the API against its OpenAPI document."""

from functools import cache
from typing import Any

import httpx
from starlette.routing import compile_path

from chat_platform.api.app import create_api


async def ensure_documented(answer: httpx.Response) -> None:
    """Fail if the operation does not list this status; unexpected failures (500) need not be."""
    operation = operation_of(answer.request.method, answer.request.url.path)
    if operation is None or answer.status_code == 500:
        return
    listed = sorted(operation["responses"])
    assert str(answer.status_code) in listed, f"{answer.request.url.path} lists only {listed}"


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the document's entry for this operation, or None."""
    for pattern, operations in _paths():
        if pattern.match(path):
            return operations.get(method.lower())
    return None


@cache
def _paths() -> list[tuple[Any, dict[str, Any]]]:
    paths: dict[str, dict[str, Any]] = create_api().openapi()["paths"]
    # Literal paths first: a placeholder would match them too.
    return [(compile_path(path)[0], paths[path]) for path in sorted(paths, key=lambda p: "{" in p)]
