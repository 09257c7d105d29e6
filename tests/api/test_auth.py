"""Registering, signing in, staying signed in and leaving, by REST."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col

from chat_platform.accounts.sign_in_rows import REFRESH_GRACE_SECONDS
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import SignInSecret
from tests.people import PASSWORD, Person

NEW = {"email": "test@example.com", "password": "plum orbit lantern", "name": "Test User"}


async def test_registering_signs_in(client: httpx.AsyncClient):
    answer = await client.post("/api/v1/auth/register", json=NEW)

    assert answer.status_code == 201
    body = answer.json()
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 1800
    assert body["user"] | {"id": "", "created_at": ""} == {
        "id": "",
        "email": "test@example.com",
        "name": "Test User",
        "agent_id": None,
        "created_at": "",
    }
    me = await client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {body['access_token']}"}
    )
    assert me.json() == body["user"]


async def test_the_name_may_be_left_out(client: httpx.AsyncClient):
    answer = await client.post(
        "/api/v1/auth/register", json={"email": "a@b.org", "password": "plum orbit lantern"}
    )

    assert answer.status_code == 201
    assert answer.json()["user"]["name"] == ""


async def test_an_address_has_one_account_however_it_is_spelt(client: httpx.AsyncClient):
    await client.post("/api/v1/auth/register", json=NEW)

    again = await client.post("/api/v1/auth/register", json={**NEW, "email": " Test@EXAMPLE.com "})

    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "seven77"}, "weak_password"),
        ({"password": "п" * 37}, "weak_password"),
        ({"email": "nobody"}, "invalid_email"),
        ({"email": "a@b"}, "invalid_email"),
        ({"email": ""}, "invalid_email"),
        ({"name": "n" * 201}, "invalid_name"),
        ({"name": "nul\0"}, "validation_failed"),
    ],
)
async def test_bad_registrations_are_refused(
    client: httpx.AsyncClient, change: dict[str, str], code: str
):
    answer = await client.post("/api/v1/auth/register", json=NEW | change)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_the_right_password_signs_in(client: httpx.AsyncClient, alice: Person):
    answer = await client.post(
        "/api/v1/auth/login", json={"email": "ALICE@example.com", "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert answer.json()["user"]["id"] == alice.id


async def test_wrong_passwords_and_unknown_addresses_get_the_same_answer(
    client: httpx.AsyncClient, alice: Person
):
    wrong, unknown = [
        await client.post("/api/v1/auth/login", json={"email": email, "password": "not this one"})
        for email in (alice.account.email, "nobody@example.com")
    ]

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert wrong.json()["code"] == "invalid_credentials"


async def test_a_refresh_token_is_swapped_for_its_successor(
    client: httpx.AsyncClient, alice: Person
):
    first = await client.post("/api/v1/auth/refresh", json={"refresh_token": alice.refresh_token})
    second = await client.post(
        "/api/v1/auth/refresh", json={"refresh_token": first.json()["refresh_token"]}
    )

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["user"]["id"] == alice.id


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def let_pass(ctx: AppContext, *, seconds: float) -> None:
    """Make every swap of a refresh token that much older."""
    async with transaction(ctx.engine) as session:
        used_at = col(SignInSecret.used_at_ms)
        await session.exec(update(SignInSecret).values(used_at_ms=used_at - int(seconds * 1000)))


async def ensure_ended(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    me = await client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert me.status_code == 401
    assert (await refresh(client, tokens["refresh_token"])).status_code == 401


async def test_a_refresh_token_that_comes_back_ends_the_sign_in(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    successor = (await refresh(client, alice.refresh_token)).json()
    await let_pass(ctx, seconds=REFRESH_GRACE_SECONDS + 1)

    reuse = await refresh(client, alice.refresh_token)

    assert reuse.status_code == 401
    await ensure_ended(client, successor)


async def test_a_client_that_lost_the_answer_may_ask_again(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    lost = (await refresh(client, alice.refresh_token)).json()
    await let_pass(ctx, seconds=REFRESH_GRACE_SECONDS - 5)

    again = await refresh(client, alice.refresh_token)

    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"]
    following = await refresh(client, again.json()["refresh_token"])
    assert following.status_code == 200


async def test_clients_that_refresh_at_once_stay_signed_in(
    client: httpx.AsyncClient, alice: Person
):
    answers = await asyncio.gather(*(refresh(client, alice.refresh_token) for _ in range(8)))

    assert [answer.status_code for answer in answers] == [200] * 8
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert (await refresh(client, successor)).status_code == 200
    for answer in answers:
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await client.get("/api/v1/auth/me", headers=bearer)).status_code == 200


async def test_only_the_token_that_was_just_replaced_may_come_again(
    client: httpx.AsyncClient, alice: Person
):
    first = (await refresh(client, alice.refresh_token)).json()
    second = (await refresh(client, first["refresh_token"])).json()

    reuse = await refresh(client, alice.refresh_token)

    assert reuse.status_code == 401
    await ensure_ended(client, second)


async def test_a_thief_within_the_grace_is_found_out_at_the_next_swap(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    hers = (await refresh(client, alice.refresh_token)).json()
    stolen = (await refresh(client, alice.refresh_token)).json()
    newest = (await refresh(client, hers["refresh_token"])).json()
    await let_pass(ctx, seconds=REFRESH_GRACE_SECONDS + 1)

    thief = await refresh(client, stolen["refresh_token"])

    assert thief.status_code == 401
    await ensure_ended(client, newest)


async def test_an_ended_sign_in_has_no_grace(client: httpx.AsyncClient, alice: Person):
    tokens = (await refresh(client, alice.refresh_token)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.post("/api/v1/auth/logout", headers=bearer)).status_code == 204

    again = await refresh(client, alice.refresh_token)

    assert again.status_code == 401


async def test_the_grace_outlives_a_new_secret_key(
    ctx: AppContext, client: httpx.AsyncClient, api: FastAPI, alice: Person
):
    lost = (await refresh(client, alice.refresh_token)).json()
    keys = {
        "secret_key": SecretStr("n" * 40),
        "secret_key_previous": ctx.settings.secret_key,
    }
    api.state.ctx = replace(ctx, settings=ctx.settings.model_copy(update=keys))

    again = await refresh(client, alice.refresh_token)

    assert again.json()["refresh_token"] == lost["refresh_token"]


async def test_logging_out_voids_both_tokens_at_once(client: httpx.AsyncClient, alice: Person):
    left = await client.post("/api/v1/auth/logout", headers=alice.headers)

    assert left.status_code == 204
    me = await client.get("/api/v1/auth/me", headers=alice.headers)
    refreshed = await client.post(
        "/api/v1/auth/refresh", json={"refresh_token": alice.refresh_token}
    )
    assert (me.status_code, refreshed.status_code) == (401, 401)


async def test_a_cookie_is_no_refresh_token(client: httpx.AsyncClient, alice: Person):
    secret = alice.cookie.partition("=")[2]

    answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": secret})

    assert answer.status_code == 401
