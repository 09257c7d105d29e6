"""Guessing is slowed for the guesser, and for nobody else."""

import asyncio

import httpx
import pytest

from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.process.rate_limits import MESSAGES_FROM_ADDRESS, MESSAGES_OF_ACCOUNT
from tests.people import PASSWORD, Person


def from_address(ctx: AppContext, address: str) -> httpx.AsyncClient:
    api = create_api()
    api.state.ctx = ctx
    transport = httpx.ASGITransport(app=api, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://platform.test")


async def test_a_thousand_wrong_passwords_lock_out_only_the_address_that_sent_them(
    ctx: AppContext, alice: Person, bob: Person
):
    wrong = {"email": alice.account.email, "password": "not this one"}
    right = {"email": alice.account.email, "password": PASSWORD}
    async with from_address(ctx, "203.0.113.9") as attacker, from_address(ctx, "::1") as owner:
        answers = await asyncio.gather(
            *(attacker.post("/api/v1/auth/login", json=wrong) for _ in range(1000))
        )
        elsewhere = await owner.post("/api/v1/auth/login", json=right)

    statuses = [a.status_code for a in answers]
    # 10 were checked; the other 990 cost no password check, so they slowed nobody.
    assert (statuses.count(401), statuses.count(429)) == (10, 990)
    assert elsewhere.status_code == 200


async def test_the_addresses_of_one_ipv6_house_count_together(ctx: AppContext, alice: Person):
    wrong = {"email": alice.account.email, "password": "not this one"}
    answers = []
    for number in range(11):
        async with from_address(ctx, f"2001:db8:1:2::{number}") as attacker:
            answers.append(await attacker.post("/api/v1/auth/login", json=wrong))
    async with from_address(ctx, "2001:db8:1:3::1") as neighbour:
        elsewhere = await neighbour.post("/api/v1/auth/login", json=wrong)

    assert [a.status_code for a in answers] == [401] * 10 + [429]
    assert elsewhere.status_code == 401


async def test_too_many_attempts_tell_how_long_to_wait(ctx: AppContext, alice: Person):
    wrong = {"email": alice.account.email, "password": "not this one"}
    async with from_address(ctx, "203.0.113.9") as attacker:
        for _ in range(10):
            await attacker.post("/api/v1/auth/login", json=wrong)
        answer = await attacker.post("/api/v1/auth/login", json=wrong)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 900


async def test_the_browsers_form_shows_how_long_to_wait(ctx: AppContext, alice: Person):
    wrong = {"email": alice.account.email, "password": "not this one"}
    async with from_address(ctx, "203.0.113.9") as attacker:
        for _ in range(10):
            await attacker.post("/api/v1/session/login", data=wrong)
        answer = await attacker.post("/api/v1/session/login", data=wrong)

    assert "error=too_many_attempts" in answer.headers["location"]
    assert "retry_after=" in answer.headers["location"]


async def test_right_passwords_never_run_out(ctx: AppContext, alice: Person):
    right = {"email": alice.account.email, "password": PASSWORD}
    async with from_address(ctx, "203.0.113.9") as owner:
        answers = [await owner.post("/api/v1/auth/login", json=right) for _ in range(30)]

    assert {a.status_code for a in answers} == {200}


async def test_one_address_cannot_try_one_password_on_everybody(ctx: AppContext):
    async with from_address(ctx, "203.0.113.9") as attacker:
        answers = [
            await attacker.post(
                "/api/v1/auth/login",
                json={"email": f"person{number}@example.com", "password": "plum orbit lantern"},
            )
            for number in range(101)
        ]

    assert [a.status_code for a in answers[-2:]] == [401, 429]


@pytest.mark.parametrize("path", ["user/password", "user"])
async def test_a_stolen_sign_in_cannot_guess_the_password(
    ctx: AppContext, alice: Person, path: str
):
    guess = {"current": "a wrong one", "new": "plum orbit lantern", "password": "a wrong one"}
    method = "DELETE" if path == "user" else "POST"
    async with from_address(ctx, "203.0.113.9") as thief:
        answers = [
            await thief.request(method, f"/api/v1/{path}", json=guess, headers=alice.headers)
            for _ in range(11)
        ]

    assert [a.status_code for a in answers] == [403] * 10 + [429]


async def test_reset_mails_are_few(ctx: AppContext, alice: Person):
    async with from_address(ctx, "203.0.113.9") as somebody:
        answers = [
            await somebody.post("/api/v1/auth/reset", json={"email": alice.account.email})
            for _ in range(6)
        ]

    assert [a.status_code for a in answers] == [202] * 5 + [429]


async def test_codes_cannot_be_guessed(ctx: AppContext, alice: Person):
    guess = {
        "email": alice.account.email,
        "code": "AAAA-AAAA-AAAA",
        "password": "plum orbit lantern",
    }
    async with from_address(ctx, "203.0.113.9") as attacker:
        answers = [await attacker.post("/api/v1/auth/reset/confirm", json=guess) for _ in range(11)]

    assert [a.status_code for a in answers] == [401] * 10 + [429]


async def test_messages_of_one_account_are_limited(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    for _ in range(60):
        await ctx.limits.take(MESSAGES_OF_ACCOUNT, "message", alice.id)

    answer = await client.post(
        "/api/v1/chat/message", json={"content": "One more"}, headers=alice.headers
    )

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) <= 60


async def test_messages_from_one_address_are_limited(ctx: AppContext, alice: Person):
    for _ in range(3000):
        await ctx.limits.take(MESSAGES_FROM_ADDRESS, "message", "203.0.113.9")

    async with from_address(ctx, "203.0.113.9") as crowd, from_address(ctx, "::1") as elsewhere:
        message = {"content": "Hello"}
        crowded = await crowd.post("/api/v1/chat/message", json=message, headers=alice.headers)
        alone = await elsewhere.post("/api/v1/chat/message", json=message, headers=alice.headers)

    assert (crowded.status_code, alone.status_code) == (429, 200)
