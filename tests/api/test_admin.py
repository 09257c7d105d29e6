"""Administrators look after accounts without reading what people write."""

import httpx
import pytest

from chat_platform.billing import ledger
from chat_platform.context import AppContext
from tests.fakes import FakeGateway
from tests.ledger_entries import intent, new_payer, opened, settlement
from tests.people import PASSWORD, Person


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/admin/accounts"),
        ("PATCH", "/api/v1/admin/accounts/x"),
        ("GET", "/api/v1/admin/audit"),
        ("GET", "/api/v1/admin/platform-budget"),
    ],
)
async def test_to_others_the_administrators_doors_do_not_exist(
    client: httpx.AsyncClient, alice: Person, method: str, path: str
):
    answer = await client.request(method, path, json={}, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_administrators_token_does_not_administer(client: httpx.AsyncClient, root: Person):
    body = {"name": "script", "scopes": ["chat", "memory", "usage"]}
    made = await client.post("/api/v1/user/tokens", json=body, headers=root.headers)

    answer = await client.get(
        "/api/v1/admin/accounts", headers={"Authorization": f"Bearer {made.json()['token']}"}
    )

    assert answer.status_code == 404


async def test_accounts_are_listed_and_found(
    client: httpx.AsyncClient, root: Person, alice: Person, bob: Person
):
    everyone = await client.get("/api/v1/admin/accounts", headers=root.headers)
    found = await client.get("/api/v1/admin/accounts?q=ALICE", headers=root.headers)

    assert {a["id"] for a in everyone.json()["accounts"]} == {root.id, alice.id, bob.id}
    assert [a["id"] for a in found.json()["accounts"]] == [alice.id]


async def test_a_search_takes_wildcards_as_they_are(
    client: httpx.AsyncClient, root: Person, alice: Person
):
    answer = await client.get("/api/v1/admin/accounts?q=%25", headers=root.headers)

    assert answer.json()["accounts"] == []


async def test_pages_of_accounts_follow_each_other_without_gaps(
    client: httpx.AsyncClient, root: Person, alice: Person, bob: Person
):
    seen: list[str] = []
    before = ""
    while True:
        page = (
            await client.get(f"/api/v1/admin/accounts?limit=1{before}", headers=root.headers)
        ).json()
        seen += [a["id"] for a in page["accounts"]]
        if not page["has_more"]:
            break
        before = f"&before={page['next_before']}"

    assert seen == sorted([root.id, alice.id, bob.id], reverse=True)


async def test_a_disabled_account_is_shut_out_at_once(
    client: httpx.AsyncClient, root: Person, alice: Person, gateway: FakeGateway
):
    answer = await client.patch(
        f"/api/v1/admin/accounts/{alice.id}", json={"disabled": True}, headers=root.headers
    )

    assert answer.json()["is_disabled"] is True
    assert gateway.blocked == {alice.id}
    for headers in (alice.headers, alice.browser_headers):
        me = await client.get("/api/v1/auth/me", headers=headers)
        assert me.status_code == 401
    login = {"email": alice.account.email, "password": PASSWORD}
    refused = await client.post("/api/v1/auth/login", json=login)
    assert (refused.status_code, refused.json()["code"]) == (403, "account_disabled")


async def test_an_enabled_account_signs_in_again(
    client: httpx.AsyncClient, root: Person, alice: Person, gateway: FakeGateway
):
    for disabled in (True, False):
        await client.patch(
            f"/api/v1/admin/accounts/{alice.id}", json={"disabled": disabled}, headers=root.headers
        )

    login = {"email": alice.account.email, "password": PASSWORD}
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 200
    assert gateway.blocked == set()


async def test_accounts_are_shut_out_while_billing_is_down(
    client: httpx.AsyncClient, root: Person, alice: Person, gateway: FakeGateway
):
    gateway.is_down = True

    answer = await client.patch(
        f"/api/v1/admin/accounts/{alice.id}", json={"disabled": True}, headers=root.headers
    )

    assert answer.status_code == 200
    assert (await client.get("/api/v1/auth/me", headers=alice.headers)).status_code == 401


async def test_administrators_cannot_shut_themselves_out(client: httpx.AsyncClient, root: Person):
    answer = await client.patch(
        f"/api/v1/admin/accounts/{root.id}", json={"disabled": True}, headers=root.headers
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "own_account")


async def test_the_audit_log_tells_who_did_what(
    client: httpx.AsyncClient, root: Person, alice: Person
):
    await client.patch(
        f"/api/v1/admin/accounts/{alice.id}", json={"disabled": True}, headers=root.headers
    )

    answer = await client.get("/api/v1/admin/audit?limit=1", headers=root.headers)

    (entry,) = answer.json()["entries"]
    assert (entry["actor_id"], entry["action"], entry["subject_id"]) == (
        root.id,
        "account.disabled",
        alice.id,
    )


async def test_administrators_see_what_of_the_platforms_caps_is_spent(
    ctx: AppContext, client: httpx.AsyncClient, root: Person
):
    object.__setattr__(ctx.settings, "platform_budget", "100")
    object.__setattr__(ctx.settings, "platform_daily_budget", "1.50")
    payer = await new_payer(ctx, "payer")
    done, still_open = (intent(ctx, payer) for _ in range(2))
    await opened(ctx, done)
    await ledger.settle_call(ctx, settlement(done, 54_800))
    await opened(ctx, still_open)

    answer = await client.get("/api/v1/admin/platform-budget", headers=root.headers)

    total, day = answer.json()["total"], answer.json()["day"]
    assert total == {
        "limit_usd": "100.000000000",
        "spent_usd": "0.000054800",
        "reserved_usd": "0.010000000",
        "remaining_usd": "99.999945200",
        "resets_at": None,
    }
    assert (day["limit_usd"], day["spent_usd"]) == ("1.500000000", "0.000054800")
    assert day["resets_at"].endswith("T00:00:00.000Z")


async def test_a_platform_without_caps_says_so(client: httpx.AsyncClient, root: Person):
    answer = await client.get("/api/v1/admin/platform-budget", headers=root.headers)

    assert answer.json() == {"total": None, "day": None}
