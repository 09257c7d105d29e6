"""How often one person may do what: every route, counted per person and shown in headers."""

import re

import httpx
import pytest

from chat_platform.context import AppContext
from chat_platform.process.rate_limits import (
    CHANGES_OF_ACCOUNT,
    EXPORTS_OF_ACCOUNT,
    MESSAGES_OF_ACCOUNT,
    READS_OF_ACCOUNT,
    SEARCHES_OF_ACCOUNT,
    Rule,
)
from tests.api.test_every_route import GUARDED, Route, ask
from tests.people import Person

COSTLY = (CHANGES_OF_ACCOUNT, EXPORTS_OF_ACCOUNT, MESSAGES_OF_ACCOUNT, SEARCHES_OF_ACCOUNT)
READS = {
    "GET /api/v1/auth/me",
    "GET /api/v1/user/profile",
    "GET /api/v1/user/tokens",
    "GET /api/v1/user/sign-ins",
    "GET /api/v1/chat/turns/{turn_id}",
    "GET /api/v1/chat/turns/{turn_id}/events",
    "GET /api/v1/chat/history",
    "GET /api/v1/admin/audit",
    "GET /api/v1/admin/platform-budget",
    "GET /api/v1/admin/invitations",
    "GET /api/v1/agent/status",
    "GET /api/v1/agent/memory",
    "GET /api/v1/agent/memory/{label}/history",
}
"""They read a page of existing data, so clients may poll them: only a flood is refused."""
ALWAYS = {
    "POST /api/v1/auth/logout",
    "DELETE /api/v1/user/tokens/{token_id}",
    "DELETE /api/v1/user/sign-ins/{sign_in_id}",
    "POST /api/v1/user/password",
    "DELETE /api/v1/user",
    "POST /api/v1/chat/turns/{turn_id}/cancel",
}
"""They end a credential or the spending: a thief must not be able to use them up.

Those that need a password are limited by wrong passwords.
"""
MESSAGE = "POST /api/v1/chat/message"
"""The turn counts it, once per message: its own test is in `test_rate_limits.py`."""


async def use_up(ctx: AppContext, person: Person, *rules: Rule) -> None:
    for rule in rules:
        for _ in range(rule.limit.amount):
            await ctx.limits.take(rule, rule.name, person.id)


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_every_route_is_limited_or_has_a_reason(
    ctx: AppContext, client: httpx.AsyncClient, root: Person, route: Route
):
    await use_up(ctx, root, *COSTLY)

    answer = await ask(client, route, root.headers)

    is_let_in = str(route) in READS | ALWAYS | {MESSAGE}
    assert (answer.status_code == 429) == (not is_let_in)


async def test_a_flood_of_reads_is_refused(
    ctx: AppContext, client: httpx.AsyncClient, root: Person
):
    await use_up(ctx, root, READS_OF_ACCOUNT)

    answers = {str(r): await ask(client, r, root.headers) for r in GUARDED if str(r) in READS}

    assert {answer.status_code for answer in answers.values()} == {429}


async def test_a_refusal_tells_how_long_to_wait(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await use_up(ctx, alice, SEARCHES_OF_ACCOUNT)

    answer = await client.get("/api/v1/chat/search?q=heron", headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit"] == f'"search";r=0;t={answer.headers["retry-after"]}'


async def test_answers_tell_what_is_left(client: httpx.AsyncClient, alice: Person):
    answers = [
        await client.get("/api/v1/chat/search?q=heron", headers=alice.headers) for _ in range(2)
    ]

    assert {a.headers["ratelimit-policy"] for a in answers} == {'"search";q=120;w=60'}
    left = [re.fullmatch(r'"search";r=(\d+);t=\d+', a.headers["ratelimit"]) for a in answers]
    assert [found and found[1] for found in left] == ["119", "118"]


async def test_a_messages_answer_tells_what_is_left(client: httpx.AsyncClient, alice: Person):
    answer = await client.post(
        "/api/v1/chat/message", json={"content": "Hello"}, headers=alice.headers
    )

    assert answer.headers["ratelimit-policy"] == '"message";q=60;w=60'
    assert answer.headers["ratelimit"].startswith('"message";r=59;')


async def test_an_answer_to_a_stranger_tells_of_no_limit(client: httpx.AsyncClient):
    answer = await client.get("/api/v1/chat/search?q=heron")

    assert answer.status_code == 401
    assert "ratelimit" not in answer.headers


async def test_alices_searches_do_not_count_for_bob(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, bob: Person
):
    await use_up(ctx, alice, SEARCHES_OF_ACCOUNT)

    answer = await client.get("/api/v1/chat/search?q=heron", headers=bob.headers)

    assert answer.status_code == 200


async def test_a_cookie_and_a_token_count_together(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await client.get("/api/v1/chat/search?q=heron", headers=alice.browser_headers)

    answer = await client.get("/api/v1/chat/search?q=heron", headers=alice.headers)

    assert answer.headers["ratelimit"].startswith('"search";r=118;')


async def test_another_sites_page_uses_nothing_up(client: httpx.AsyncClient, alice: Person):
    foreign = {"Cookie": alice.cookie, "Origin": "https://evil.example"}
    await client.post("/api/v1/agent/passages", json={"text": "x"}, headers=foreign)

    answer = await client.patch("/api/v1/user/profile", json={}, headers=alice.headers)

    assert answer.headers["ratelimit"].startswith('"change";r=119;')
