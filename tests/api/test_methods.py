"""Every route of the router, documented or not: HEAD, OPTIONS, Allow, slashes, body types."""

import asyncio
import gzip
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlmodel import SQLModel

from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.settings import Settings
from tests.belongings import belongings_of
from tests.fakes import FakeGateway, FakeMemory, FakeRuntime
from tests.people import Person

METRICS_TOKEN = "token-of-prometheus"
ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")


def methods_of_paths() -> dict[str, set[str]]:
    """The router's own methods, with a HEAD for each GET."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(create_api().routes):
        assert route.path is not None
        found.setdefault(route.path, set()).update(route.methods or ())
    return {path: m | ({"HEAD"} if "GET" in m else set()) for path, m in found.items()}


PATHS = methods_of_paths()
READABLE = [path for path, methods in PATHS.items() if "GET" in methods]
OPERATIONS: dict[str, dict[str, Any]] = create_api().openapi()["paths"]
WITH_BODY = [
    (method.upper(), path, next(iter(operation["requestBody"]["content"])))
    for path, operations in OPERATIONS.items()
    for method, operation in operations.items()
    if "requestBody" in operation
]
JSON = [(method, path) for method, path, kind in WITH_BODY if kind == "application/json"]
FORMS = [(method, path) for method, path, kind in WITH_BODY if kind != "application/json"]


def filled(path: str, **ids: str) -> str:
    while "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        path = path.replace(f"{{{name}}}", ids.get(name, "human" if name == "label" else "none"))
    return path


def allowed(answer: httpx.Response) -> set[str]:
    return set(answer.headers["allow"].split(", "))


def credential(path: str, person: Person) -> dict[str, str]:
    if path == "/metrics":
        return {"Authorization": f"bearer {METRICS_TOKEN}"}
    return person.headers


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"metrics_token": SecretStr(METRICS_TOKEN)})


async def everything(ctx: AppContext) -> dict[str, list[Any]]:
    """Return every row in the database."""
    async with reading(ctx.engine) as session:
        tables = SQLModel.metadata.sorted_tables
        return {table.name: list((await session.execute(table.select())).all()) for table in tables}


def test_the_router_was_read():
    assert len(READABLE) > 20
    assert {"/metrics", "/api/v1/docs", "/api/v1/openapi.json"} <= set(READABLE)
    assert len(JSON) > 15
    assert len(FORMS) > 5


async def test_head_answers_as_get_does_without_a_body(
    ctx: AppContext, client: httpx.AsyncClient, memory: FakeMemory, root: Person
):
    ids = await belongings_of(ctx, memory, root)

    for path in READABLE:
        url, headers = filled(path, **ids), credential(path, root)
        head = await client.head(url, headers=headers)
        get = await client.get(url, headers=headers)

        assert (path, head.status_code, head.content) == (path, get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        # A length is either correct or left out.
        assert head.headers.get("content-length") in (get.headers.get("content-length"), None)


async def test_head_is_refused_as_get_is(client: httpx.AsyncClient):
    heads = {path: (await client.head(filled(path))).status_code for path in READABLE}
    gets = {path: (await client.get(filled(path))).status_code for path in READABLE}

    assert heads == gets
    assert 401 in heads.values()


async def test_head_changes_nothing_and_spends_nothing(
    ctx: AppContext,
    client: httpx.AsyncClient,
    runtime: FakeRuntime,
    memory: FakeMemory,
    gateway: FakeGateway,
    root: Person,
):
    searched: list[str] = []
    passages = memory.passages

    async def note(agent_id: Any, *, query: str = "", **more: Any) -> list[Any]:
        searched.append(query)
        return await passages(agent_id, query=query, **more)

    memory.passages = note  # type: ignore[method-assign]
    before = await everything(ctx)

    for path in READABLE:
        await client.head(f"{filled(path)}?q=tea", headers=credential(path, root))

    assert await everything(ctx) == before
    assert (runtime.agents, runtime.posted, gateway.versions, searched) == ({}, [], {}, [])


async def test_head_of_running_events_does_not_wait_for_their_end(
    ctx: AppContext, client: httpx.AsyncClient, runtime: FakeRuntime, alice: Person
):
    runtime.gate = asyncio.Event()
    started = await client.post(
        "/api/v1/chat/message",
        json={"content": "Hello"},
        headers=alice.headers | {"Prefer": "respond-async"},
    )
    url = f"/api/v1/chat/turns/{started.json()['turn_id']}/events"

    head = await asyncio.wait_for(client.head(url, headers=alice.headers), 5)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    runtime.gate.set()


@pytest.mark.parametrize("end", ["", "/"])
async def test_options_tells_the_methods_of_every_path(client: httpx.AsyncClient, end: str):
    for path, methods in PATHS.items():
        answer = await client.options(filled(path) + end)

        assert (path, answer.status_code, answer.content) == (path, 204, b"")
        # A path with placeholders may match another path as well.
        assert allowed(answer) >= methods


async def test_a_wrong_method_is_told_the_right_ones_on_every_path(client: httpx.AsyncClient):
    for path in PATHS:
        told = allowed(await client.options(filled(path)))
        wrong = [method for method in ALL_METHODS if method not in told]
        answers = [await client.request(method, filled(path)) for method in wrong]

        assert {(path, answer.status_code) for answer in answers} == {(path, 405)}
        assert {frozenset(allowed(answer)) for answer in answers} == {frozenset(told)}


async def test_an_unknown_path_has_no_options(client: httpx.AsyncClient):
    answer = await client.options("/api/v1/nothing")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_slash_at_the_end_leads_to_the_same_answer(client: httpx.AsyncClient):
    for path, method in ((path, method) for path, methods in PATHS.items() for method in methods):
        without = await client.request(method, filled(path))
        with_slash = await client.request(method, f"{filled(path)}/")
        with_two = await client.request(method, f"{filled(path)}//")

        assert (path, with_slash.status_code) == (path, without.status_code)
        assert with_two.status_code == without.status_code
        assert with_slash.headers.get("location") == without.headers.get("location")


ODD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"data": {"content": "x"}}, "JSON"),
    ({"files": {"file": b"x"}}, "JSON"),
    ({"content": b'{"content": "x"}', "headers": {"Content-Type": "text/plain"}}, "JSON"),
    (
        {
            "content": gzip.compress(b"{}"),
            "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        },
        "compressed",
    ),
]


@pytest.mark.parametrize(("odd", "words"), ODD_BODIES)
async def test_what_is_no_json_is_told_what_to_send(
    client: httpx.AsyncClient, root: Person, odd: dict[str, Any], words: str
):
    for method, path in JSON:
        headers = root.headers | odd.get("headers", {})
        answer = await client.request(method, filled(path), **(odd | {"headers": headers}))

        assert (path, answer.status_code) == (path, 415)
        assert answer.json()["code"] == "unsupported_media_type"
        assert words in answer.json()["detail"]
        assert "dictionary" not in answer.text


async def test_what_is_no_form_is_told_what_to_send(client: httpx.AsyncClient):
    for method, path in FORMS:
        as_json = await client.request(method, filled(path), json={"email": "a@example.com"})
        packed = await client.request(
            method, filled(path), data={"email": "x"}, headers={"Content-Encoding": "gzip"}
        )

        assert (path, as_json.status_code, packed.status_code) == (path, 415, 415)
        assert "form" in as_json.json()["detail"]


@pytest.mark.parametrize(
    "media_type", [None, "application/json; charset=utf-8", "Application/JSON"]
)
async def test_json_is_read_under_its_names_and_without_one(
    client: httpx.AsyncClient, alice: Person, media_type: str | None
):
    headers = alice.headers | ({"Content-Type": media_type} if media_type else {})

    answer = await client.post(
        "/api/v1/chat/message", content=b'{"content": "Hello"}', headers=headers
    )

    assert answer.status_code == 200
