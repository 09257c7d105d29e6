"""The browser's forms: cookies, redirects, and no help for other sites' pages."""

from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from chat_platform.web.visitor import language_of_visitor
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


async def test_under_https_the_cookie_is_secure_and_this_very_hosts(
    client: httpx.AsyncClient, alice: Person
):
    answer = await client.post("https://platform.test/api/v1/session/login", data=form(alice))

    new, old = answer.headers.get_list("set-cookie")
    assert new.startswith("__Host-chat_sign_in=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(new.split("; "))
    assert old.startswith('chat_sign_in=""')


@pytest.mark.parametrize("names", [("__Host-chat_sign_in",), ("chat_sign_in",)])
async def test_a_sign_in_is_found_under_either_name(
    client: httpx.AsyncClient, alice: Person, names: tuple[str, ...]
):
    secret = alice.cookie.partition("=")[2]

    me = await client.get(
        "/api/v1/auth/me", headers={"Cookie": "; ".join(f"{name}={secret}" for name in names)}
    )

    assert me.json()["id"] == alice.id


async def test_a_planted_plain_cookie_counts_for_nothing_beside_the_hosts_own(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    own, planted = alice.cookie.partition("=")[2], bob.cookie

    signed_in = await client.get(
        "/api/v1/auth/me", headers={"Cookie": f"{planted}; __Host-chat_sign_in={own}"}
    )
    signed_out = await client.get(
        "/api/v1/auth/me", headers={"Cookie": f"__Host-chat_sign_in=ended; {planted}"}
    )

    assert signed_in.json()["id"] == alice.id
    assert signed_out.status_code == 401


HOSTILE_COOKIES = [
    'prefs={"theme": "dark"}',
    'a="half',
    "nameless",
    "=x",
    ";;;",
    "n=\u00e9\u00ff",
    "t=\u044e".encode().decode("latin-1"),
    "c[0]=(1,2)",
    "; ".join(f"c{n}={n}" for n in range(100)),
]


@pytest.mark.parametrize("other", HOSTILE_COOKIES)
@pytest.mark.parametrize("order", ["{other}; {own}", "{own}; {other}", "{other}; {own}; {other}"])
async def test_another_applications_cookies_hide_ours_from_nobody(
    client: httpx.AsyncClient, alice: Person, other: str, order: str
):
    header = order.format(other=other, own=f"language=ru; {alice.cookie}")

    me = await client.get("/api/v1/auth/me", headers=[(b"Cookie", header.encode("latin-1"))])

    assert me.json()["id"] == alice.id
    assert language_of_visitor(header, "en") == "ru"


async def test_of_two_cookies_with_our_name_the_nearest_paths_counts(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    cookies = {"Cookie": f"{alice.cookie}; {bob.cookie}"}

    assert (await client.get("/api/v1/auth/me", headers=cookies)).json()["id"] == alice.id


@pytest.mark.parametrize("authorization", ["Basic dXNlcjpwYXNz", "Negotiate x", "bAsIc eA==", ""])
async def test_a_proxys_own_password_does_not_hide_the_sign_in(
    client: httpx.AsyncClient, alice: Person, authorization: str
):
    headers = alice.browser_headers | {"Authorization": authorization}

    me = await client.get("/api/v1/auth/me", headers=headers)

    assert me.status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_a_bearer_credential_counts_however_its_scheme_is_spelt(
    client: httpx.AsyncClient, alice: Person, bob: Person, scheme: str
):
    headers = bob.browser_headers | {"Authorization": f"{scheme} {alice.access_token}"}

    assert (await client.get("/api/v1/auth/me", headers=headers)).json()["id"] == alice.id


async def test_a_bad_bearer_credential_is_not_replaced_by_the_cookie(
    client: httpx.AsyncClient, alice: Person
):
    headers = alice.browser_headers | {"Authorization": "Bearer nonsense"}

    assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_registering_in_the_browser_signs_in(client: httpx.AsyncClient):
    new = {"email": "new@example.com", "password": "plum orbit lantern", "name": "New"}

    answer = await client.post("/api/v1/session/register", data=new, headers=SAME_SITE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    assert (await client.get("/api/v1/auth/me")).json()["email"] == "new@example.com"


async def test_a_wrong_password_goes_back_to_the_form(client: httpx.AsyncClient, alice: Person):
    answer = await client.post("/api/v1/session/login", data=form(alice, password="wrong one"))

    target = urlsplit(answer.headers["location"])
    assert (answer.status_code, target.path) == (303, "/login")
    assert parse_qs(target.query) == {"error": ["invalid_credentials"]}
    assert "set-cookie" not in answer.headers


async def test_no_form_puts_what_was_typed_into_an_address(
    client: httpx.AsyncClient, alice: Person
):
    typed = dict.fromkeys(("email", "password", "name", "code", "invitation"), "typed@example.com")
    document = (await client.get("/api/v1/openapi.json")).json()
    forms = [path for path in document["paths"] if path.startswith("/api/v1/session/")]

    for change in ({}, {"email": "not an address"}, {"password": "plum orbit lantern"}):
        for path in forms:
            answer = await client.post(path, data=typed | change)
            assert "typed" not in unquote(answer.headers["location"]), path

    assert len(forms) > 5


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
