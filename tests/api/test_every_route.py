"""Every route, with every kind of bad credential: refused in the right way, new routes too."""

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col

from chat_platform.accounts import access_tokens, api_tokens
from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Account, ApiToken, SignIn
from chat_platform.values.clock import now_ms
from chat_platform.values.cookies import PLAIN_SIGN_IN_COOKIE
from chat_platform.values.ids import new_id
from tests.belongings import belongings_of
from tests.fakes import FakeMemory
from tests.people import Person


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    is_guarded: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _routes() -> list[Route]:
    paths: dict[str, Any] = create_api().openapi()["paths"]
    return [
        Route(method.upper(), path, "security" in operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


ROUTES = _routes()
GUARDED = [route for route in ROUTES if route.is_guarded]
OPEN = {
    "GET /api/v1/health/live",
    "GET /api/v1/health/ready",
    "GET /api/v1/auth/registration",
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/confirm",
    "POST /api/v1/auth/resend",
    "POST /api/v1/auth/reset",
    "POST /api/v1/auth/reset/confirm",
    "POST /api/v1/session/login",
    "POST /api/v1/session/register",
    "POST /api/v1/session/confirm",
    "POST /api/v1/session/confirm/resend",
    "POST /api/v1/session/forgot",
    "POST /api/v1/session/reset",
    "POST /api/v1/session/logout",
}


def test_what_is_open_to_strangers_is_this_and_nothing_else():
    assert {str(route) for route in ROUTES if not route.is_guarded} == OPEN


async def ask(
    client: httpx.AsyncClient, route: Route, headers: dict[str, str], **ids: str
) -> httpx.Response:
    path = route.path
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = path[:start] + ids.get(path[start + 1 : end], "none") + path[end + 1 :]
    return await client.request(route.method, path, headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed(ctx: AppContext, person: Person, key: str | None = None, **change: Any) -> str:
    """Return a token like the person's own, except for the change."""
    claims = jwt.decode(person.access_token, options={"verify_signature": False}) | change
    claims = {name: value for name, value in claims.items() if value is not None}
    own_key = access_tokens._signing_key(ctx.settings.secret_key.get_secret_value())
    return jwt.encode(claims, key or own_key, algorithm="HS256")


def unsigned(person: Person) -> str:
    payload = person.access_token.split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{header}.{payload}."


def swapped(person: Person, algorithm: str) -> str:
    """Return the person's token with another algorithm in its header."""
    _, payload, signature = person.access_token.split(".")
    header = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{payload}.{signature}"


async def set_account(ctx: AppContext, person: Person, **columns: Any) -> None:
    async with transaction(ctx.engine) as session:
        await session.exec(update(Account).where(col(Account.id) == person.id).values(columns))


async def set_sign_ins(ctx: AppContext, person: Person, **columns: Any) -> None:
    async with transaction(ctx.engine) as session:
        query = update(SignIn).where(col(SignIn.account_id) == person.id)
        await session.exec(query.values(columns))


async def token_of(ctx: AppContext, person: Person, *scopes: Any, **columns: Any) -> str:
    terms = api_tokens.terms_of("script", scopes, expires_in_days=1)
    made = await api_tokens.make_token(ctx, person.id, terms)
    if columns:
        async with transaction(ctx.engine) as session:
            query = update(ApiToken).where(col(ApiToken.id) == made.row.id)
            await session.exec(query.values(columns))
    return made.secret


Make = Callable[[AppContext, Person], Awaitable[dict[str, str]]]


async def _nothing(ctx: AppContext, person: Person) -> dict[str, str]:
    return {}


async def _empty(ctx: AppContext, person: Person) -> dict[str, str]:
    return {"Authorization": ""}


async def _basic(ctx: AppContext, person: Person) -> dict[str, str]:
    return {"Authorization": f"Basic {person.access_token}"}


async def _malformed(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer("not.a.token")


async def _expired(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, exp=now_ms() // 1000 - 1))


async def _wrong_key(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, key="k" * 64))


async def _secret_key_itself(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, key=ctx.settings.secret_key.get_secret_value()))


async def _no_algorithm(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(unsigned(person))


async def _other_hmac(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(swapped(person, "HS512"))


async def _key_algorithm(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(swapped(person, "RS256"))


async def _other_issuer(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, iss="another"))


async def _other_audience(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, aud="another"))


async def _without_end(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, exp=None))


async def _anothers_sign_in(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(signed(ctx, person, sub=new_id()))


async def _old_version(ctx: AppContext, person: Person) -> dict[str, str]:
    await set_account(ctx, person, token_version=1)
    return person.headers


async def _revoked(ctx: AppContext, person: Person) -> dict[str, str]:
    await set_sign_ins(ctx, person, revoked_at_ms=now_ms())
    return person.headers


async def _revoked_cookie(ctx: AppContext, person: Person) -> dict[str, str]:
    await set_sign_ins(ctx, person, revoked_at_ms=now_ms())
    return person.browser_headers


async def _expired_cookie(ctx: AppContext, person: Person) -> dict[str, str]:
    await set_sign_ins(ctx, person, expires_at_ms=now_ms())
    return person.browser_headers


async def _made_up_cookie(ctx: AppContext, person: Person) -> dict[str, str]:
    return {"Cookie": f"{PLAIN_SIGN_IN_COOKIE}=made-up", "Sec-Fetch-Site": "same-origin"}


async def _refresh_token_as_cookie(ctx: AppContext, person: Person) -> dict[str, str]:
    return {
        "Cookie": f"{PLAIN_SIGN_IN_COOKIE}={person.refresh_token}",
        "Sec-Fetch-Site": "same-origin",
    }


async def _refresh_token(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(person.refresh_token)


async def _made_up_api_token(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer("cp_" + "x" * 43)


async def _revoked_api_token(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(await token_of(ctx, person, *api_tokens.SCOPES, revoked_at_ms=now_ms()))


async def _expired_api_token(ctx: AppContext, person: Person) -> dict[str, str]:
    return bearer(await token_of(ctx, person, *api_tokens.SCOPES, expires_at_ms=now_ms()))


async def _deleted_accounts(ctx: AppContext, person: Person) -> dict[str, str]:
    await set_account(ctx, person, deleting_at_ms=now_ms())
    return person.headers


VOID: list[Make] = [
    _nothing,
    _empty,
    _basic,
    _malformed,
    _expired,
    _wrong_key,
    _secret_key_itself,
    _no_algorithm,
    _other_hmac,
    _key_algorithm,
    _other_issuer,
    _other_audience,
    _without_end,
    _anothers_sign_in,
    _old_version,
    _revoked,
    _revoked_cookie,
    _expired_cookie,
    _made_up_cookie,
    _refresh_token_as_cookie,
    _refresh_token,
    _made_up_api_token,
    _revoked_api_token,
    _expired_api_token,
    _deleted_accounts,
]


@pytest.mark.parametrize("make", VOID, ids=lambda make: make.__name__.strip("_"))
async def test_void_credentials_open_no_route(
    ctx: AppContext, client: httpx.AsyncClient, root: Person, make: Make
):
    # An administrator's, so that no route is refused for another reason.
    headers = await make(ctx, root)

    answers = {str(route): await ask(client, route, headers) for route in GUARDED}

    assert {name: a.status_code for name, a in answers.items()} == dict.fromkeys(answers, 401)
    assert {a.headers["www-authenticate"] for a in answers.values()} == {"Bearer"}
    assert {a.headers["content-type"] for a in answers.values()} == {"application/problem+json"}


@pytest.mark.parametrize("door", ["bearer", "token"])
async def test_a_disabled_accounts_credentials_open_no_route(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, door: str
):
    token = await token_of(ctx, alice, *api_tokens.SCOPES)
    await set_account(ctx, alice, disabled_at_ms=now_ms())
    headers = alice.headers if door == "bearer" else bearer(token)

    answers = [await ask(client, route, headers) for route in GUARDED]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(403, "account_disabled")}


async def test_a_disabled_accounts_cookie_is_nobodys(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await set_account(ctx, alice, disabled_at_ms=now_ms())

    answers = [await ask(client, route, alice.browser_headers) for route in GUARDED]

    assert {a.status_code for a in answers} == {401}


FROM_ANOTHER_SITE = [
    {"Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("told", FROM_ANOTHER_SITE)
async def test_a_cookie_from_another_site_opens_no_route(
    client: httpx.AsyncClient, root: Person, told: dict[str, str]
):
    """Not even a read: `GET /agent/passages?q=` costs its person money."""
    headers = {"Cookie": root.cookie, **told}

    answers = [await ask(client, route, headers) for route in GUARDED]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(403, "cross_site")}


def _scope_of(route: Route) -> str | None:
    """Return the scope that opens a route to ApiTokens, or None if it is closed to them."""
    if route.path.startswith("/api/v1/chat/"):
        return "chat"
    if route.path.startswith("/api/v1/agent/") and route.path != "/api/v1/agent/status":
        return "memory"
    return "usage" if route.path == "/api/v1/user/usage" else None


ANY_TOKEN = {"GET /api/v1/auth/me", "GET /api/v1/agent/status"}


@pytest.mark.parametrize(
    "route", [route for route in GUARDED if str(route) not in ANY_TOKEN], ids=str
)
async def test_a_token_without_the_scope_is_refused(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, route: Route
):
    needed = _scope_of(route)
    others = [scope for scope in api_tokens.SCOPES if scope != needed]
    token = await token_of(ctx, alice, *others)

    answer = await ask(client, route, bearer(token))

    is_admins = route.path.startswith("/api/v1/admin/")
    expected = (404, "not_found") if is_admins else (403, "insufficient_scope")
    assert (answer.status_code, answer.json()["code"]) == expected


@pytest.mark.parametrize("route", [route for route in GUARDED if _scope_of(route)], ids=str)
async def test_a_token_with_the_scope_comes_in(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, route: Route
):
    token = await token_of(ctx, alice, _scope_of(route))

    answer = await ask(client, route, bearer(token))

    assert answer.status_code not in (401, 403, 500)


@pytest.mark.parametrize("route", [r for r in GUARDED if "_id}" in r.path], ids=str)
async def test_bob_never_learns_whether_alices_ids_exist(
    ctx: AppContext,
    client: httpx.AsyncClient,
    memory: FakeMemory,
    alice: Person,
    bob: Person,
    route: Route,
):
    ids = await belongings_of(ctx, memory, alice)
    await belongings_of(ctx, memory, bob)

    hers = await ask(client, route, bob.headers, **ids)
    nobodys = await ask(client, route, bob.headers)

    assert hers.status_code == nobodys.status_code == 404
    assert replaced(hers) == replaced(nobodys)


def replaced(answer: httpx.Response) -> dict[str, Any]:
    return answer.json() | {"request_id": ""}


async def test_alices_message_is_no_place_in_bobs_history(
    ctx: AppContext, client: httpx.AsyncClient, memory: FakeMemory, alice: Person, bob: Person
):
    ids = await belongings_of(ctx, memory, alice)

    hers = await client.get(f"/api/v1/chat/history?before={ids['before']}", headers=bob.headers)
    nobodys = await client.get("/api/v1/chat/history?before=none", headers=bob.headers)

    assert (hers.status_code, hers.json()["code"]) == (422, "bad_cursor")
    assert replaced(hers) == replaced(nobodys)


async def test_a_token_signed_with_the_previous_key_still_opens(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    rotated = ctx.settings.model_copy(
        update={
            "secret_key": SecretStr("n" * 40),
            "secret_key_previous": ctx.settings.secret_key,
        }
    )
    api = create_api()
    api.state.ctx = replace(ctx, settings=rotated)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://platform.test") as after:
        answer = await after.get("/api/v1/auth/me", headers=alice.headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/nothing", "/api/v2/auth/me"])
async def test_unknown_paths_are_problems_too(client: httpx.AsyncClient, path: str):
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_wrong_method_tells_the_right_one(client: httpx.AsyncClient):
    answer = await client.get("/api/v1/auth/login")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == "method_not_allowed"
