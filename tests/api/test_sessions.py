"""The browser's forms: cookies, redirects, and no help for other sites' pages."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.people import PASSWORD, Person

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def form(alice: Person, **change: str) -> dict[str, str]:
    return {"email": alice.account.email, "password": PASSWORD} | change


async def test_signing_in_sets_a_cookie_that_scripts_cannot_read(
    client: httpx.AsyncClient, alice: Person
):
    answer = await client.post("/api/v1/session/login", data=form(alice), headers=SAME_SITE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    me = await client.get("/api/v1/auth/me")
    assert me.json()["id"] == alice.id


async def test_the_cookie_is_secure_under_https(client: httpx.AsyncClient, alice: Person):
    answer = await client.post("https://platform.test/api/v1/session/login", data=form(alice))

    assert "secure" in answer.headers["set-cookie"].lower()


async def test_registering_in_the_browser_signs_in(client: httpx.AsyncClient):
    new = {"email": "new@example.com", "password": "password123", "name": "New"}

    answer = await client.post("/api/v1/session/register", data=new, headers=SAME_SITE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    assert (await client.get("/api/v1/auth/me")).json()["email"] == "new@example.com"


async def test_a_wrong_password_goes_back_to_the_form_with_the_address_kept(
    client: httpx.AsyncClient, alice: Person
):
    answer = await client.post("/api/v1/session/login", data=form(alice, password="wrong one"))

    target = urlsplit(answer.headers["location"])
    assert (answer.status_code, target.path) == (303, "/login")
    assert parse_qs(target.query) == {
        "error": ["invalid_credentials"],
        "email": ["alice@example.com"],
    }
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["login", "register", "logout"])
async def test_another_sites_page_cannot_post_the_forms(
    client: httpx.AsyncClient, alice: Person, path: str
):
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://sub.platform.test"},
    ):
        answer = await client.post(f"/api/v1/session/{path}", data=form(alice), headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


async def test_logging_out_ends_the_sign_in_and_takes_the_cookie(
    client: httpx.AsyncClient, alice: Person
):
    answer = await client.post("/api/v1/session/logout", headers=alice.browser_headers)

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?notice=signed_out")
    assert 'chat_sign_in=""' in answer.headers["set-cookie"]
    me = await client.get("/api/v1/auth/me", headers=alice.browser_headers)
    assert me.status_code == 401


@pytest.mark.parametrize(
    ("wish", "place"),
    [
        ("/usage", "/usage"),
        ("//evil.example", "/chat"),
        ("https://evil.example", "/chat"),
        ("/\\evil.example", "/chat"),
    ],
)
async def test_after_signing_in_the_browser_stays_on_this_site(
    client: httpx.AsyncClient, alice: Person, wish: str, place: str
):
    answer = await client.post("/api/v1/session/login", data=form(alice, next=wish))

    assert answer.headers["location"] == place


async def test_a_cookie_writes_only_from_our_own_pages(client: httpx.AsyncClient, alice: Person):
    foreign = {"Cookie": alice.cookie, "Origin": "https://evil.example"}

    refused = await client.post("/api/v1/auth/logout", headers=foreign)
    own = await client.post("/api/v1/auth/logout", headers=alice.browser_headers)

    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert own.status_code == 204
