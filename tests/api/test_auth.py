"""Registering, signing in, staying signed in and leaving, by REST."""

import httpx
import pytest

from tests.people import PASSWORD, Person

NEW = {"email": "test@example.com", "password": "password123", "name": "Test User"}


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
        "/api/v1/auth/register", json={"email": "a@b.org", "password": "password123"}
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


async def test_a_refresh_token_that_comes_back_ends_the_sign_in(
    client: httpx.AsyncClient, alice: Person
):
    stolen = {"refresh_token": alice.refresh_token}
    successor = (await client.post("/api/v1/auth/refresh", json=stolen)).json()

    reuse = await client.post("/api/v1/auth/refresh", json=stolen)

    assert reuse.status_code == 401
    after = await client.post(
        "/api/v1/auth/refresh", json={"refresh_token": successor["refresh_token"]}
    )
    assert after.status_code == 401
    me = await client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {successor['access_token']}"}
    )
    assert me.status_code == 401


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
