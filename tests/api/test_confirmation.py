"""If the identity provider confirms addresses first, nobody is signed in before that."""

from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from chat_platform.accounts import sign_in
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.context import AppContext
from chat_platform.errors import NotSignedIn
from chat_platform.ports import Identity
from tests.fakes import FakeIdentity

NEW: dict[str, Any] = {
    "email": "new@example.com",
    "password": "plum orbit lantern",
    "name": "New",
}


@dataclass
class ConfirmingIdentity(FakeIdentity):
    """Registers nobody immediately; the code is always `code`."""

    name: str = "supabase"

    async def register(self, email: str, password: str, *, name: str) -> Identity | None:
        self.passwords.setdefault(email, password)
        return None

    async def resend(self, email: str) -> None:
        pass

    async def confirm(self, email: str, code: str) -> Identity:
        if code != "code":
            raise NotSignedIn("This code is not right.", code="invalid_code")
        return Identity(email, email, "New")


@pytest.fixture
async def ctx(ctx: AppContext) -> AppContext:
    identity = ConfirmingIdentity()
    return replace(ctx, identity=identity, confirmation=identity)


async def test_registering_waits_for_the_confirmation(client: httpx.AsyncClient):
    answer = await client.post("/api/v1/auth/register", json=NEW)

    assert (answer.status_code, answer.json()) == (202, {"status": "confirmation_required"})


async def test_the_browsers_form_tells_to_look_for_the_mail(client: httpx.AsyncClient):
    answer = await client.post("/api/v1/session/register", data=NEW)

    assert answer.headers["location"] == ("/confirm?notice=confirmation_required")
    assert "set-cookie" not in answer.headers


async def test_the_code_confirms_and_signs_in(client: httpx.AsyncClient):
    await client.post("/api/v1/auth/register", json=NEW)

    answer = await client.post("/api/v1/auth/confirm", json={"email": NEW["email"], "code": "code"})

    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == NEW["email"]


async def test_a_wrong_code_signs_nobody_in(client: httpx.AsyncClient):
    answer = await client.post("/api/v1/auth/confirm", json={"email": NEW["email"], "code": "x"})

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")


async def test_the_mail_is_sent_again_a_few_times(client: httpx.AsyncClient):
    body = {"email": NEW["email"]}

    answers = [await client.post("/api/v1/auth/resend", json=body) for _ in range(6)]

    assert [a.status_code for a in answers] == [202] * 5 + [429]


async def test_who_is_known_to_the_provider_only_gets_an_account_at_the_first_login(
    ctx: AppContext, client: httpx.AsyncClient
):
    await ctx.identity.register("old@example.com", "plum orbit lantern", name="Old")

    answer = await client.post(
        "/api/v1/auth/login", json={"email": "old@example.com", "password": "plum orbit lantern"}
    )

    assert answer.status_code == 200


class TestTwoProviders:
    """An installation that had embedded accounts and now uses Supabase."""

    async def test_an_address_alone_does_not_hand_over_an_account(
        self, ctx: AppContext, client: httpx.AsyncClient
    ):
        embedded = replace(ctx, identity=FakeIdentity(), confirmation=None)
        await sign_in.register(embedded, **NEW, visit=Visit("api", "tests", "192.0.2.1"))

        await ctx.identity.register(NEW["email"], "another password", name="")
        answer = await client.post(
            "/api/v1/auth/login", json={"email": NEW["email"], "password": "another password"}
        )

        assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_the_browsers_form_confirms_and_signs_in(client: httpx.AsyncClient):
    await client.post("/api/v1/session/register", data=NEW)
    form = {"email": NEW["email"], "code": "code"}

    answer = await client.post("/api/v1/session/confirm", data=form)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    assert "HttpOnly" in answer.headers["set-cookie"]


async def test_a_wrong_code_goes_back_to_the_form(client: httpx.AsyncClient):
    form = {"email": NEW["email"], "code": "guess"}

    answer = await client.post("/api/v1/session/confirm", data=form)

    assert answer.headers["location"] == "/confirm?error=invalid_code"
    assert "set-cookie" not in answer.headers


async def test_the_form_may_ask_for_the_code_again(client: httpx.AsyncClient):
    form = {"email": NEW["email"], "code": ""}

    answer = await client.post("/api/v1/session/confirm/resend", data=form)

    assert answer.headers["location"] == "/confirm?notice=code_sent"
