"""The platform under a path of a proxy (ROOT_PATH): every URL stays under that path."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from chat_platform.api.app import create_api
from chat_platform.context import AppContext, set_app_context
from chat_platform.settings import Settings, SettingsError, load_settings
from chat_platform.web.built_pages import ROOT_PATH_NOTE, BuiltPages
from chat_platform.web.front_door import FOR_STRANGERS, GUARDED, FrontDoor
from chat_platform.web.root_path import UnderRootPath
from tests.people import PASSWORD, Person

ROOT_PATH = "/myai"
SITE = "https://example.com"
FORMS = [path for path in create_api().openapi()["paths"] if "/session/" in path]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"root_path": ROOT_PATH})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for language in ("en", "ru"):
        folder = tmp_path / "site" / language
        folder.mkdir(parents=True)
        for name in ("login", "chat", "404"):
            (folder / f"{name}.html").write_text(f"<html><p>{name}</p>")
        (folder / "page.js").write_text("1")
    (tmp_path / "site" / ROOT_PATH_NOTE).write_text(ROOT_PATH)
    return tmp_path / "site"


@pytest.fixture
async def visitor(site: Path, api: FastAPI, ctx: AppContext) -> AsyncIterator[httpx.AsyncClient]:
    """A client behind a proxy that passes on `/myai/...` unchanged."""
    set_app_context(ctx)
    api.state.ctx = ctx
    api.middleware_stack = None
    door = FrontDoor(
        reflex=PlainTextResponse("reflex"),
        api=api,
        proxy=PlainTextResponse("proxy"),
        pages=BuiltPages(site, root_path=ROOT_PATH),
    )
    transport = httpx.ASGITransport(app=UnderRootPath(door, ROOT_PATH))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        yield client


@pytest.mark.parametrize("path", ["", "/", *GUARDED, "/chat/"])
async def test_a_stranger_is_sent_to_sign_in_under_the_path(visitor: httpx.AsyncClient, path: str):
    answer = await visitor.get(f"{ROOT_PATH}{path}")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{ROOT_PATH}/login")


@pytest.mark.parametrize("path", ["/", *FOR_STRANGERS])
async def test_alice_is_sent_to_her_chat_under_the_path(
    visitor: httpx.AsyncClient, alice: Person, path: str
):
    answer = await visitor.get(f"{ROOT_PATH}{path}", headers=alice.browser_headers)

    assert (answer.status_code, answer.headers["location"]) == (303, f"{ROOT_PATH}/chat")


@pytest.mark.parametrize("path", FORMS)
async def test_every_form_leads_back_under_the_path(visitor: httpx.AsyncClient, path: str):
    answer = await visitor.post(f"{ROOT_PATH}{path}", headers={"Origin": SITE})

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{ROOT_PATH}/")


async def test_signing_in_leads_to_the_page_that_was_wanted(
    visitor: httpx.AsyncClient, alice: Person
):
    sent = await visitor.get(f"{ROOT_PATH}/usage?month=2")
    form = {
        "email": alice.account.email,
        "password": PASSWORD,
        "next": httpx.URL(sent.headers["location"]).params["next"],
    }

    answer = await visitor.post(
        f"{ROOT_PATH}/api/v1/session/login", data=form, headers={"Origin": SITE}
    )

    assert answer.headers["location"] == f"{ROOT_PATH}/usage?month=2"


async def test_a_turn_is_found_where_the_answer_says(visitor: httpx.AsyncClient, alice: Person):
    started = await visitor.post(
        f"{ROOT_PATH}/api/v1/chat/message",
        json={"content": "Hello"},
        headers=alice.headers | {"Prefer": "respond-async"},
    )

    location = started.headers["location"]
    assert location.startswith(f"{ROOT_PATH}/")
    assert (await visitor.get(location, headers=alice.headers)).status_code == 200


async def test_an_invitation_leads_under_the_path(visitor: httpx.AsyncClient, root: Person):
    answer = await visitor.post(
        f"{ROOT_PATH}/api/v1/admin/invitations", json={}, headers=root.headers
    )

    assert answer.json()["link"].startswith(f"{SITE}{ROOT_PATH}/register?invitation=")


async def test_the_document_and_its_docs_are_whole_under_the_path(visitor: httpx.AsyncClient):
    document = (await visitor.get(f"{ROOT_PATH}/api/v1/openapi.json")).json()
    docs = await visitor.get(f"{ROOT_PATH}/api/v1/docs")
    start = await visitor.get(f"{ROOT_PATH}/api/v1/docs/start.js")

    linked = re.findall(r'(?:src|href)="([^"]+)"', docs.text)
    assert document["servers"] == [{"url": ROOT_PATH}]
    assert f'"{ROOT_PATH}/api/v1/openapi.json"' in start.text
    assert len(linked) == 4
    for address in linked:
        assert address.startswith(f"{ROOT_PATH}/")
        assert (await visitor.get(address)).status_code == 200


async def test_pages_and_files_are_served_under_the_path(visitor: httpx.AsyncClient):
    assert "login" in (await visitor.get(f"{ROOT_PATH}/login")).text
    assert (await visitor.get(f"{ROOT_PATH}/page.js")).text == "1"
    assert (await visitor.get(f"{ROOT_PATH}x/login")).status_code == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/health/live", '{"status":"ok"}'),
        ("/api/v1/llm-proxy/agent/test", "proxy"),
        ("/page.js", "1"),
    ],
)
async def test_who_comes_without_the_path_is_answered_too(
    visitor: httpx.AsyncClient, path: str, words: str
):
    """The agent server, health checks, and proxies that remove the path."""
    assert (await visitor.get(path)).text == words


async def test_without_a_path_the_document_names_no_server(
    api: FastAPI, client: httpx.AsyncClient, ctx: AppContext
):
    plain = ctx.settings.model_copy(update={"root_path": ""})
    object.__setattr__(ctx, "settings", plain)

    assert "servers" not in (await client.get("/api/v1/openapi.json")).json()


async def test_the_sockets_path_is_taken_off_too():
    seen: list[tuple[str, bytes]] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["path"], scope["raw_path"]))

    scope = {"type": "websocket", "path": "/myai/_event/", "raw_path": b"/myai/_event/"}
    await UnderRootPath(note, ROOT_PATH)(scope, None, None)  # type: ignore[arg-type]

    assert seen == [("/_event/", b"/_event/")]


def test_pages_that_were_built_for_another_path_are_not_served(site: Path):
    assert BuiltPages(site, root_path=ROOT_PATH).page("/login", "en") is not None
    assert BuiltPages(site).page("/login", "en") is None


@pytest.mark.parametrize(
    ("given", "root_path"),
    [("", ""), ("/", ""), ("/myai", "/myai"), ("myai/", "/myai"), ("/apps/my-ai", "/apps/my-ai")],
)
def test_a_root_path_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, given: str, root_path: str
):
    monkeypatch.setenv("ROOT_PATH", given)

    assert Settings(_env_file=None).root_path == root_path  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("given", ["https://example.com/myai", "/a/../b", "/my ai", "/a//b", "/."])
def test_what_is_no_path_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOT_PATH", given)

    with pytest.raises(SettingsError, match="ROOT_PATH: must be a plain path"):
        load_settings()


@pytest.mark.parametrize(
    ("base_url", "public_url"),
    [
        ("https://example.com", "https://example.com/myai"),
        ("https://example.com/myai", "https://example.com/myai"),
        ("", "http://127.0.0.1:8000/myai"),
    ],
)
def test_links_of_the_command_line_lead_under_the_path(base_url: str, public_url: str):
    settings = Settings(_env_file=None, backend_base_url=base_url, root_path=ROOT_PATH)  # pyright: ignore[reportCallIssue]

    assert settings.public_url == public_url
