"""The front door: who gets which page, with which headers, and who may open the socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from chat_platform.context import AppContext, set_app_context
from chat_platform.web.built_pages import BuiltPages
from chat_platform.web.front_door import FrontDoor
from tests.people import Person

SCRIPT = "console.log('hello')"
SCRIPT_HASH = "'sha256-RiiZMt4WBEeSYPAXi7o6X3AZ0TOyY+/BOcmhjYVr6/E='"
HOST = "chat.example.com"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for language, words in (("en", "Sign in"), ("ru", "Войти")):
        folder = tmp_path / "site" / language
        (folder / "assets").mkdir(parents=True)
        page = f'<html lang="{language}"><p>{words}</p><script>{SCRIPT}</script>'
        for name in ("login", "chat", "404"):
            (folder / f"{name}.html").write_text(page)
        (folder / "assets" / f"only-{language}-1a2b.js").write_text(f"'{language}'")
        (folder / "assets" / f"only-{language}-1a2b.js.br").write_bytes(b"packed")
        (folder / "page.js").write_text("1")
    return tmp_path / "site"


@pytest.fixture
def door(site: Path, ctx: AppContext) -> FrontDoor:
    set_app_context(ctx)
    return FrontDoor(
        reflex=PlainTextResponse("reflex"),
        api=PlainTextResponse("api"),
        proxy=PlainTextResponse("proxy"),
        pages=BuiltPages(site),
    )


@pytest.fixture
async def visitor(door: FrontDoor) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "door_name"),
    [
        ("/api/v1/nothing", "api"),
        ("/api", "api"),
        ("/metrics", "api"),
        ("/api/v1/llm-proxy/agent/chat/completions", "proxy"),
        ("/_event/?EIO=4", "reflex"),
    ],
)
async def test_each_path_has_its_door(visitor: httpx.AsyncClient, path: str, door_name: str):
    answer = await visitor.get(path)

    assert answer.text == door_name


@pytest.mark.parametrize("path", ["/metrics/", "/api/", "/api/v1/health/live/"])
async def test_a_slash_at_the_end_leads_to_the_same_door(visitor: httpx.AsyncClient, path: str):
    assert (await visitor.get(path)).text == "api"


@pytest.mark.parametrize("path", ["/", "/login", "/chat", "/page.js", "/nothing-here"])
async def test_pages_and_files_tell_their_methods(visitor: httpx.AsyncClient, path: str):
    asked = await visitor.options(path)
    wrong = await visitor.post(path)
    head, get = await visitor.head(path), await visitor.get(path)

    assert (asked.status_code, asked.headers["allow"]) == (204, "GET, HEAD")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert (head.status_code, head.headers, head.content) == (get.status_code, get.headers, b"")


async def test_the_sockets_path_tells_its_methods(visitor: httpx.AsyncClient):
    asked, wrong = await visitor.options("/_event/"), await visitor.put("/_event/")

    assert (asked.status_code, asked.headers["allow"]) == (204, "GET, POST")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("path", ["/login", "/chat", "/usage", "/nothing-here"])
async def test_pages_answer_with_a_slash_at_the_end_as_without(
    visitor: httpx.AsyncClient, path: str
):
    without, with_slash = await visitor.get(path), await visitor.get(f"{path}/")

    assert with_slash.status_code == without.status_code
    assert with_slash.headers.get("location") == without.headers.get("location")
    assert with_slash.text == without.text


async def test_a_stranger_is_sent_to_sign_in_and_back_to_where_they_wanted(
    visitor: httpx.AsyncClient,
):
    answer = await visitor.get("/usage?month=2")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fusage%3Fmonth%3D2"


async def test_alice_sees_the_chat_and_no_sign_in_page(visitor: httpx.AsyncClient, alice: Person):
    chat = await visitor.get("/chat", headers=alice.browser_headers)
    login = await visitor.get("/login", headers=alice.browser_headers)

    assert chat.status_code == 200
    assert login.headers["location"] == "/chat"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Sign in"),
        ({"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}, "Войти"),
        ({"Accept-Language": "fr, en;q=0.5"}, "Sign in"),
        ({"Accept-Language": "en", "Cookie": "language=ru"}, "Войти"),
        ({"Accept-Language": ";;;,"}, "Sign in"),
        ({"Accept-Language": "en;q=0.3, ru-RU;q=0.9"}, "Войти"),
    ],
)
async def test_a_stranger_reads_their_browsers_language(
    visitor: httpx.AsyncClient, headers: dict[str, str], words: str
):
    answer = await visitor.get("/login", headers=headers)

    assert words in answer.text


async def test_a_chosen_language_is_remembered(visitor: httpx.AsyncClient):
    answer = await visitor.get("/login?language=ru")

    assert "Войти" in answer.text
    assert "language=ru" in answer.headers["set-cookie"]


async def test_an_unknown_address_is_a_404_page(visitor: httpx.AsyncClient):
    answer = await visitor.get("/nothing-here")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_content_policy_lists_the_pages_own_scripts_and_no_eval(
    visitor: httpx.AsyncClient,
):
    answer = await visitor.get("/login")

    policy = answer.headers["content-security-policy"]
    assert f"script-src 'self' {SCRIPT_HASH};" in policy
    assert "unsafe-eval" not in policy


async def test_hashed_files_are_kept_for_ever_and_others_asked_for_again(
    visitor: httpx.AsyncClient,
):
    hashed = await visitor.get("/assets/only-ru-1a2b.js", headers={"Accept-Encoding": "br"})
    plain = await visitor.get("/page.js")
    again = await visitor.get("/page.js", headers={"If-None-Match": plain.headers["etag"]})

    assert "immutable" in hashed.headers["cache-control"]
    assert hashed.headers["content-encoding"] == "br"
    assert plain.headers["cache-control"] == "no-cache"
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/page.js", "/login", "/assets/only-en-1a2b.js"])
@pytest.mark.parametrize("held", ["{etag}", '"x", {etag}', 'W/"y",{etag} , "z"', "*"])
async def test_what_a_browser_holds_is_not_sent_again(
    visitor: httpx.AsyncClient, path: str, held: str
):
    etag = (await visitor.get(path)).headers["etag"]

    again = await visitor.get(path, headers={"If-None-Match": held.format(etag=etag)})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag


async def test_a_missing_page_is_missing_whatever_a_browser_holds(visitor: httpx.AsyncClient):
    etag = (await visitor.get("/nothing-here")).headers["etag"]

    again = await visitor.get("/nothing-here", headers={"If-None-Match": etag})

    assert again.status_code == 404
    assert again.content


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("br;q=0", None), ("BR", "br"), ("gzip, br;q=0.1", "br"), ("identity, br;q=0.5", None)],
)
async def test_files_are_packed_only_as_a_browser_can_unpack_them(
    visitor: httpx.AsyncClient, accepted: str, coding: str | None
):
    headers = {"Accept-Encoding": accepted}

    answer = await visitor.get("/assets/only-ru-1a2b.js", headers=headers)

    assert answer.headers.get("content-encoding") == coding


async def test_only_a_demo_is_marked_as_one(visitor: httpx.AsyncClient):
    answer = await visitor.get("/login")

    assert "<html data-demo " in answer.text


@pytest.mark.parametrize("path", ["/../secrets.env", "/assets/../../secrets.env", "/chat.html"])
async def test_no_path_leads_out_of_the_built_pages(visitor: httpx.AsyncClient, path: str):
    answer = await visitor.get(path)

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [(f"https://{HOST}", True), ("https://evil.example", False), (None, True), ("null", False)],
)
async def test_only_our_own_pages_may_open_the_socket(
    door: FrontDoor, origin: str | None, is_let_in: bool
):
    headers = [(b"host", HOST.encode())]
    if origin:
        headers.append((b"origin", origin.encode()))
    opened: list[str] = []

    async def reflex(scope: Scope, receive: object, send: object) -> None:
        opened.append(scope["path"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        pass

    own_door = FrontDoor(reflex=reflex, api=door.api, proxy=door.proxy, pages=door.pages)
    await own_door({"type": "websocket", "path": "/_event/", "headers": headers}, receive, send)

    assert bool(opened) is is_let_in


async def test_a_failure_of_our_own_is_told_in_the_pages_dress(
    visitor: httpx.AsyncClient, site: Path, ctx: AppContext
):
    (site / "ru" / "error.html").write_text(f"<p>Что-то не так</p><script>{SCRIPT}</script>")
    await ctx.engine.dispose()
    set_app_context(None)
    door = FrontDoor(
        reflex=PlainTextResponse(""),
        api=PlainTextResponse(""),
        proxy=PlainTextResponse(""),
        pages=BuiltPages(site),
    )
    transport = httpx.ASGITransport(app=door)

    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        answer = await client.get("/chat", headers={"Accept-Language": "ru", "Cookie": "a=b"})

    assert (answer.status_code, answer.text) == (500, "<p>Что-то не так</p>")
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_sign_in_from_before_gets_the_hosts_own_cookie_under_https(
    visitor: httpx.AsyncClient, alice: Person
):
    secret = alice.cookie.partition("=")[2]

    first = await visitor.get("/chat", headers={"Cookie": alice.cookie})
    later = await visitor.get("/chat", headers={"Cookie": f"__Host-chat_sign_in={secret}"})

    new, old = first.headers.get_list("set-cookie")
    assert new.startswith(f"__Host-chat_sign_in={secret};")
    assert old.startswith('chat_sign_in=""')
    assert (later.status_code, later.headers.get_list("set-cookie")) == (200, [])


async def test_a_strangers_cookie_gets_no_new_name(visitor: httpx.AsyncClient):
    answer = await visitor.get("/login", headers={"Cookie": "chat_sign_in=planted"})

    assert "set-cookie" not in answer.headers
