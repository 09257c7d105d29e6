"""Every text field accepts a text unchanged, or says why not; a text is never cut.

The fields are those of the OpenAPI document, so that new ones are tested too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from tests.belongings import belongings_of
from tests.fakes import FakeMemory
from tests.hostile_texts import KEPT, ODD
from tests.people import PASSWORD, Person

# Trying every text in every field takes more than a minute.
pytestmark = pytest.mark.slow

UNSTORABLE = {"half", "nul"}
SHOWN_AGAIN = {
    ("/api/v1/user/profile", "name"),
    ("/api/v1/user/tokens", "name"),
    ("/api/v1/auth/register", "name"),
    ("/api/v1/chat/message", "content"),
    ("/api/v1/agent/memory/{label}", "value"),
    ("/api/v1/agent/passages", "text"),
}
"""Texts that are stored and returned; others are searched for, compared or hashed."""
NEEDS_TO_BE_SEEN = SHOWN_AGAIN - {
    ("/api/v1/user/profile", "name"),
    ("/api/v1/auth/register", "name"),
    ("/api/v1/agent/memory/{label}", "value"),
}
"""Fields that refuse an empty text; a person needs no name, and a block may be emptied."""
USUAL = {
    "password": PASSWORD,
    "new": "another battery",
    "current": PASSWORD,
    "scopes": ["chat"],
    "label": "human",
}
MAX_IN_AN_ADDRESS = 10_000
"""No client sends longer addresses."""
_numbers = count(1)


@dataclass(frozen=True)
class Field:
    method: str
    path: str
    name: str
    place: str
    """`json`, `form`, `query` or `path`."""
    required: tuple[str, ...]
    """What else the body must have."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}"


def _fields() -> Iterator[Field]:
    document = create_api().openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for found in operation.get("parameters", []):
                if found["in"] in ("query", "path") and _takes_text(found["schema"]):
                    yield Field(method.upper(), path, found["name"], found["in"], ())
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = content["schema"]
                name = schema.get("$ref", "").rpartition("/")[2]
                body = document["components"]["schemas"].get(name, schema)
                place = "json" if media == "application/json" else "form"
                for field, of_field in body["properties"].items():
                    if _takes_text(of_field):
                        required = tuple(body.get("required", ()))
                        yield Field(method.upper(), path, field, place, required)


def _takes_text(schema: dict[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", [])]
    return any(kind.get("type") == "string" and "enum" not in kind for kind in kinds)


FIELDS = list(_fields())


def test_the_fields_that_keep_a_text_are_among_them():
    found = {(field.path, field.name) for field in FIELDS}

    assert found >= SHOWN_AGAIN
    assert len(FIELDS) > 60


@pytest.mark.parametrize("field", FIELDS, ids=str)
async def test_a_text_is_kept_whole_or_refused_in_words(
    client: httpx.AsyncClient,
    ctx: AppContext,
    memory: FakeMemory,
    root: Person,
    field: Field,
):
    ids = await belongings_of(ctx, memory, root)
    for kind, text in (KEPT | ODD).items():
        await ctx.limits._own.reset()

        answer = await _send(client, root, field, text, ids)

        what = f"{field}, {kind}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, what
        if answer.status_code >= 400:
            assert answer.json()["detail"], what
        elif (field.path, field.name) in SHOWN_AGAIN:
            assert kind not in UNSTORABLE, what
            assert kind == "unseen" or json.dumps(text)[1:-1] in json.dumps(answer.json()), what
        if (field.path, field.name) in SHOWN_AGAIN and kind in KEPT:
            assert answer.is_success, what
        if (field.path, field.name) in NEEDS_TO_BE_SEEN and kind == "unseen":
            assert answer.status_code == 422, what


async def _send(
    client: httpx.AsyncClient, person: Person, field: Field, text: str, ids: dict[str, str]
) -> httpx.Response:
    if field.place in ("query", "path"):
        text = text[:MAX_IN_AN_ADDRESS]
    usual = USUAL | {"email": f"eve{next(_numbers)}@example.com"}
    body = {name: usual.get(name, "none") for name in field.required} | {field.name: text}
    path = field.path
    for name, known in {"label": "human", **ids}.items():
        path = path.replace(f"{{{name}}}", _quoted(text) if name == field.name else known)
    sent: dict[str, Any] = {}
    headers = {"If-Match": "*", **person.headers}
    if field.place == "json":
        sent["content"] = json.dumps(body)
        headers["Content-Type"] = "application/json"
    elif field.place == "form":
        form = "&".join(f"{name}={_quoted(str(value))}" for name, value in body.items())
        sent["content"] = form
        headers |= {"Content-Type": "application/x-www-form-urlencoded", **person.browser_headers}
    elif field.place == "query":
        path = f"{path}?{field.name}={_quoted(text)}"
    return await client.request(field.method, path, headers=headers, **sent)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")
