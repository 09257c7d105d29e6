"""A forgotten password: one code by mail, good once, for one account."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.context import AppContext
from tests.fakes import FakeMailer
from tests.people import PASSWORD, Person

NEW = "a whole new battery"


async def mailed_code(client: httpx.AsyncClient, mailer: FakeMailer, person: Person) -> str:
    await client.post("/api/v1/auth/reset", json={"email": person.account.email})
    found = re.search(r"(\w{4}-\w{4}-\w{4})", mailer.sent[-1][2])
    assert found
    return found[1]


async def test_the_code_from_the_mail_sets_a_new_password(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    code = await mailed_code(client, mailer, alice)
    body = {"email": "alice@example.com", "code": code.lower(), "password": NEW}

    answer = await client.post("/api/v1/auth/reset/confirm", json=body)

    assert answer.status_code == 204
    login = {"email": "alice@example.com", "password": NEW}
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 200


async def test_a_reset_ends_every_sign_in_and_token(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    token = {"name": "script", "scopes": ["chat"]}
    made = await client.post("/api/v1/user/tokens", json=token, headers=alice.headers)
    code = await mailed_code(client, mailer, alice)
    body = {"email": "alice@example.com", "code": code, "password": NEW}

    await client.post("/api/v1/auth/reset/confirm", json=body)

    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    for headers in (alice.headers, alice.browser_headers, bearer):
        assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_the_mail_is_in_the_language_that_the_person_chose(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    chosen = {"language": "ru"}
    await client.patch("/api/v1/user/profile", json=chosen, headers=alice.headers)

    code = await mailed_code(client, mailer, alice)

    _to, subject, text = mailer.sent[-1]
    assert subject == "Код для смены пароля"
    assert text.startswith(f"Введите этот код, чтобы выбрать новый пароль: {code}\n\nОн действует")


async def test_unknown_addresses_get_the_same_answer_and_no_mail(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    known = await client.post("/api/v1/auth/reset", json={"email": alice.account.email})
    unknown = await client.post("/api/v1/auth/reset", json={"email": "nobody@example.com"})

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert [to for to, _, _ in mailer.sent] == [alice.account.email]


async def test_a_code_is_good_for_one_use_and_one_account(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person, bob: Person
):
    code = await mailed_code(client, mailer, alice)
    tries = [
        {"email": bob.account.email, "code": code, "password": NEW},
        {"email": alice.account.email, "code": "AAAA-BBBB-CCCC", "password": NEW},
        {"email": alice.account.email, "code": code, "password": NEW},
        {"email": alice.account.email, "code": code, "password": PASSWORD},
    ]

    answers = [await client.post("/api/v1/auth/reset/confirm", json=body) for body in tries]

    assert [a.status_code for a in answers] == [401, 401, 204, 401]
    assert answers[0].json()["code"] == "invalid_code"


async def test_a_weak_password_does_not_burn_the_code(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    code = await mailed_code(client, mailer, alice)
    body = {"email": alice.account.email, "code": code}

    weak = await client.post("/api/v1/auth/reset/confirm", json=body | {"password": "short"})
    strong = await client.post("/api/v1/auth/reset/confirm", json=body | {"password": NEW})

    assert (weak.status_code, strong.status_code) == (422, 204)


async def test_a_newer_code_voids_the_older(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    older = await mailed_code(client, mailer, alice)
    await mailed_code(client, mailer, alice)
    body = {"email": alice.account.email, "code": older, "password": NEW}

    answer = await client.post("/api/v1/auth/reset/confirm", json=body)

    assert answer.status_code == 401


async def test_the_browsers_forms_lead_from_forgotten_to_signed_in(
    client: httpx.AsyncClient, mailer: FakeMailer, alice: Person
):
    email = {"email": alice.account.email}

    asked = await client.post("/api/v1/session/forgot", data=email)
    code = re.search(r"(\w{4}-\w{4}-\w{4})", mailer.sent[-1][2])
    assert code
    done = await client.post(
        "/api/v1/session/reset", data=email | {"code": code[1], "password": NEW}
    )

    assert asked.headers["location"] == "/reset?notice=code_sent"
    assert (done.status_code, done.headers["location"]) == (303, "/chat")
    assert (await client.get("/api/v1/auth/me")).json()["id"] == alice.id


async def test_without_a_mail_server_the_form_says_who_gives_the_code(
    client: httpx.AsyncClient, api: FastAPI, ctx: AppContext, alice: Person
):
    api.state.ctx = replace(ctx, identity=LocalIdentity(ctx.engine))

    for email in (alice.account.email, "nobody@example.com"):
        asked = await client.post("/api/v1/session/forgot", data={"email": email})

        assert asked.headers["location"] == "/reset?notice=no_mail"


@pytest.mark.parametrize("path", ["forgot", "reset"])
async def test_bad_input_goes_back_to_its_form(client: httpx.AsyncClient, path: str):
    data = {"email": "nonsense", "code": "x", "password": NEW}

    answer = await client.post(f"/api/v1/session/{path}", data=data)

    target = urlsplit(answer.headers["location"])
    assert (answer.status_code, target.path) == (303, f"/{path}")
    assert "error=invalid_email" in target.query
