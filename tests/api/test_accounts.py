"""What people see and change about themselves, and only about themselves."""

from datetime import datetime

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from chat_platform.adapters.identity.local import RESET
from chat_platform.adapters.identity.one_time_codes import make_code
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import ApiToken, SignIn, SignInSecret
from chat_platform.values.clock import now_ms
from tests.accounts.test_api_tokens import KEPT_NAMES, REFUSED_DAYS, REFUSED_NAMES
from tests.people import PASSWORD, Person

ALL_SCOPES = {"name": "laptop", "scopes": ["chat", "memory", "usage"], "expires_in_days": 30}


async def new_token(client: httpx.AsyncClient, person: Person, **change: object) -> dict:
    answer = await client.post(
        "/api/v1/user/tokens", json=ALL_SCOPES | change, headers=person.headers
    )
    assert answer.status_code == 201
    return answer.json()


async def test_the_profile_shows_who_one_is_and_no_key(client: httpx.AsyncClient, alice: Person):
    answer = await client.get("/api/v1/user/profile", headers=alice.headers)

    assert answer.json() == {
        "id": alice.id,
        "email": "alice@example.com",
        "name": "Alice",
        "role": "person",
        "language": "",
        "theme": "system",
        "agent_id": None,
        "created_at": answer.json()["created_at"],
    }


async def test_name_language_and_theme_can_be_changed(client: httpx.AsyncClient, alice: Person):
    change = {"name": " Алиса \n Б. ", "language": "ru", "theme": "dark"}

    await client.patch("/api/v1/user/profile", json=change, headers=alice.headers)

    shown = (await client.get("/api/v1/user/profile", headers=alice.headers)).json()
    assert (shown["name"], shown["language"], shown["theme"]) == ("Алиса Б.", "ru", "dark")


@pytest.mark.parametrize(
    "change", [{"language": "xx"}, {"theme": "pink"}, {"name": "n" * 201}, {"name": 7}]
)
async def test_bad_profile_changes_are_refused(
    client: httpx.AsyncClient, alice: Person, change: dict
):
    answer = await client.patch("/api/v1/user/profile", json=change, headers=alice.headers)

    assert answer.status_code == 422


async def test_nobody_makes_themself_an_administrator(client: httpx.AsyncClient, alice: Person):
    change = {"name": "Alice", "role": "admin", "email": "root@example.com"}

    answer = await client.patch("/api/v1/user/profile", json=change, headers=alice.headers)

    assert (answer.json()["role"], answer.json()["email"]) == ("person", "alice@example.com")


async def test_a_token_is_shown_once_and_kept_as_a_hash(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    made = await new_token(client, alice)

    assert made["token"].startswith(made["prefix"])
    assert made["prefix"].startswith("cp_")
    listed = (await client.get("/api/v1/user/tokens", headers=alice.headers)).json()["tokens"]
    assert [t["id"] for t in listed] == [made["id"]]
    assert "token" not in listed[0]
    async with reading(ctx.engine) as session:
        row = (await session.exec(select(ApiToken))).one()
    assert made["token"] not in row.model_dump_json()


@pytest.mark.parametrize("name", REFUSED_NAMES)
async def test_a_token_needs_a_name(client: httpx.AsyncClient, alice: Person, name: str):
    answer = await client.post(
        "/api/v1/user/tokens", json=ALL_SCOPES | {"name": name}, headers=alice.headers
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_name")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]


@pytest.mark.parametrize(("given", "kept"), KEPT_NAMES)
async def test_a_tokens_name_is_kept_on_one_line(
    client: httpx.AsyncClient, alice: Person, given: str, kept: str
):
    assert (await new_token(client, alice, name=given))["name"] == kept


@pytest.mark.parametrize(
    ("scopes", "code", "field"),
    [([], "invalid_scopes", "scopes"), (["admin"], "validation_failed", "scopes.0")],
)
async def test_a_token_needs_a_scope_that_there_is(
    client: httpx.AsyncClient, alice: Person, scopes: list[str], code: str, field: str
):
    answer = await client.post(
        "/api/v1/user/tokens", json=ALL_SCOPES | {"scopes": scopes}, headers=alice.headers
    )

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("days", REFUSED_DAYS)
async def test_a_token_cannot_live_for_any_number_of_days(
    client: httpx.AsyncClient, alice: Person, days: int
):
    answer = await client.post(
        "/api/v1/user/tokens", json=ALL_SCOPES | {"expires_in_days": days}, headers=alice.headers
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == ["expires_in_days"]


@pytest.mark.parametrize(("days", "lives"), [(1, 1), (3650, 3650), (None, None)])
async def test_a_token_lives_as_long_as_was_asked_for(
    client: httpx.AsyncClient, alice: Person, days: int | None, lives: int | None
):
    made = await new_token(client, alice, expires_in_days=days)

    ends = made["expires_at"]
    created = datetime.fromisoformat(made["created_at"])
    assert (ends and (datetime.fromisoformat(ends) - created).days) == lives


async def sign_in_long_ago(ctx: AppContext, person: Person) -> None:
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(col(SignIn.account_id) == person.id)
            .values(created_at_ms=now_ms() - 301_000)
        )


@pytest.mark.parametrize(
    ("password", "status", "code"),
    [(None, 403, "password_needed"), ("wrong", 403, "wrong_password"), (PASSWORD, 201, None)],
)
async def test_five_minutes_after_signing_in_a_token_needs_the_password(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, password: str, status: int, code: str
):
    await sign_in_long_ago(ctx, alice)

    body = ALL_SCOPES | ({"password": password} if password else {})
    answer = await client.post("/api/v1/user/tokens", json=body, headers=alice.headers)

    assert (answer.status_code, answer.json().get("code")) == (status, code)


@pytest.mark.parametrize("how", ["change", "reset"])
async def test_a_new_password_ends_every_token(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, how: str
):
    token = (await new_token(client, alice))["token"]

    if how == "change":
        body = {"current": PASSWORD, "new": "another battery"}
        await client.post("/api/v1/user/password", json=body, headers=alice.headers)
    else:
        code = await make_code(ctx.engine, alice.id, purpose=RESET)
        body = {"email": alice.account.email, "code": code, "password": "another battery"}
        assert (await client.post("/api/v1/auth/reset/confirm", json=body)).status_code == 204

    used = await client.get("/api/v1/agent/status", headers={"Authorization": f"Bearer {token}"})
    assert used.status_code == 401


async def test_a_token_acts_for_its_person(client: httpx.AsyncClient, alice: Person):
    made = await new_token(client, alice)

    me = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {made['token']}"})

    assert me.json()["id"] == alice.id
    listed = (await client.get("/api/v1/user/tokens", headers=alice.headers)).json()["tokens"]
    assert listed[0]["last_used_at"] is not None


async def test_a_token_cannot_make_tokens(client: httpx.AsyncClient, alice: Person):
    made = await new_token(client, alice)

    answer = await client.post(
        "/api/v1/user/tokens",
        json=ALL_SCOPES,
        headers={"Authorization": f"Bearer {made['token']}"},
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_revoked_token_is_void_at_once(client: httpx.AsyncClient, alice: Person):
    made = await new_token(client, alice)

    await client.delete(f"/api/v1/user/tokens/{made['id']}", headers=alice.headers)

    me = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert (me.status_code, me.json()["code"]) == (401, "invalid_token")


async def test_bob_cannot_revoke_alices_token_nor_learn_that_it_exists(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    made = await new_token(client, alice)

    hers = await client.delete(f"/api/v1/user/tokens/{made['id']}", headers=bob.headers)
    nobodys = await client.delete("/api/v1/user/tokens/none", headers=bob.headers)

    assert hers.status_code == nobodys.status_code == 404
    assert hers.json() | {"request_id": ""} == nobodys.json() | {"request_id": ""}
    me = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert me.status_code == 200


async def test_there_is_an_end_to_the_number_of_tokens(client: httpx.AsyncClient, alice: Person):
    for _ in range(50):
        await new_token(client, alice)

    answer = await client.post("/api/v1/user/tokens", json=ALL_SCOPES, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_tokens")


async def test_people_see_where_they_are_signed_in(client: httpx.AsyncClient, alice: Person):
    answer = await client.get("/api/v1/user/sign-ins", headers=alice.headers)

    listed = answer.json()["sign_ins"]
    assert sorted(s["kind"] for s in listed) == ["api", "browser"]
    assert [s["kind"] for s in listed if s["is_current"]] == ["api"]


async def test_ending_a_browsers_sign_in_voids_its_cookie_at_once(
    client: httpx.AsyncClient, alice: Person
):
    listed = (await client.get("/api/v1/user/sign-ins", headers=alice.headers)).json()["sign_ins"]
    browser = next(s["id"] for s in listed if s["kind"] == "browser")

    await client.delete(f"/api/v1/user/sign-ins/{browser}", headers=alice.headers)

    me = await client.get("/api/v1/auth/me", headers=alice.browser_headers)
    assert me.status_code == 401


async def test_bob_cannot_end_alices_sign_in(client: httpx.AsyncClient, alice: Person, bob: Person):
    listed = (await client.get("/api/v1/user/sign-ins", headers=alice.headers)).json()["sign_ins"]

    answers = [
        await client.delete(f"/api/v1/user/sign-ins/{s['id']}", headers=bob.headers) for s in listed
    ]

    assert {a.status_code for a in answers} == {404}
    assert (await client.get("/api/v1/auth/me", headers=alice.headers)).status_code == 200


async def test_a_new_password_ends_every_other_sign_in(client: httpx.AsyncClient, alice: Person):
    change = {"current": PASSWORD, "new": "another battery"}

    answer = await client.post("/api/v1/user/password", json=change, headers=alice.headers)

    assert answer.status_code == 204
    here = await client.get("/api/v1/auth/me", headers=alice.headers)
    elsewhere = await client.get("/api/v1/auth/me", headers=alice.browser_headers)
    assert (here.status_code, elsewhere.status_code) == (200, 401)
    login = {"email": alice.account.email, "password": "another battery"}
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"current": "not this", "new": "another battery"}, 403, "wrong_password"),
        ({"current": PASSWORD, "new": "short"}, 422, "weak_password"),
    ],
)
async def test_bad_password_changes_change_nothing(
    client: httpx.AsyncClient, alice: Person, change: dict, status: int, code: str
):
    answer = await client.post("/api/v1/user/password", json=change, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    login = {"email": alice.account.email, "password": PASSWORD}
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 200


async def test_no_secret_of_a_sign_in_is_stored(ctx: AppContext, alice: Person):
    async with reading(ctx.engine) as session:
        stored = set((await session.exec(select(col(SignInSecret.secret_hash)))).all())

    assert alice.refresh_token not in stored
    assert alice.cookie.partition("=")[2] not in stored
    assert len(stored) == 2
