"""Usage over REST: exact sums in every breakdown, and only a person's own."""

import csv
import io
from decimal import Decimal

import httpx
import pytest

from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import ModelCall
from chat_platform.values.ids import AccountId, AgentId
from tests.people import Person

# 2026-01-31T23:30:00Z: in Berlin it is February already.
LATE_JANUARY_MS = 1_769_902_200_000
WHOLE_YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


async def book(ctx: AppContext, account_id: AccountId, cost_nano_usd: int, **columns) -> None:
    call = ModelCall(
        account_id=account_id,
        agent_id=AgentId("agent"),
        kind=columns.get("kind", "chat"),
        model=columns.get("model", "demo-chat"),
        state="settled",
        cost_nano_usd=cost_nano_usd,
        cost_source="header",
        prompt_tokens=10,
        completion_tokens=5,
        owner="tests",
        lease_until_ms=0,
        started_at_ms=LATE_JANUARY_MS,
    )
    async with transaction(ctx.engine) as session:
        session.add(call)


async def test_every_list_adds_up_to_the_total(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await book(ctx, alice.id, 54_800)
    await book(ctx, alice.id, 1, model="demo-embedding", kind="embedding")

    answer = await client.get("/api/v1/user/usage", params=WHOLE_YEAR, headers=alice.headers)

    body = answer.json()
    assert body["totals"]["cost_usd"] == "0.000054801"
    assert (body["totals"]["model_calls"], body["totals"]["prompt_tokens"]) == (2, 20)
    for name in ("by_day", "by_model", "by_kind", "by_turn"):
        assert sum(Decimal(line["cost_usd"]) for line in body[name]) == Decimal("0.000054801")
    assert {line["model"] for line in body["by_model"]} == {"demo-chat", "demo-embedding"}


async def test_without_times_it_is_the_running_budget_period(
    client: httpx.AsyncClient, alice: Person
):
    body = (await client.get("/api/v1/user/usage", headers=alice.headers)).json()

    assert body["totals"]["cost_usd"] == "0.000000000"
    assert body["budget"]["limit_usd"] == "5.000000000"
    assert body["budget"]["remaining_usd"] == "5.000000000"
    assert body["period"]["to"] == body["budget"]["resets_at"]


@pytest.mark.parametrize(("zone", "day"), [("UTC", "2026-01-31"), ("Europe/Berlin", "2026-02-01")])
async def test_days_are_those_of_the_zone(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, zone: str, day: str
):
    await book(ctx, alice.id, 7)

    params = {"from": day, "to": day, "tz": zone}
    body = (await client.get("/api/v1/user/usage", params=params, headers=alice.headers)).json()

    assert [(line["day"], line["cost_usd"]) for line in body["by_day"]] == [(day, "0.000000007")]


async def test_the_table_says_the_same(ctx: AppContext, client: httpx.AsyncClient, alice: Person):
    await book(ctx, alice.id, 54_800)

    answer = await client.get(
        "/api/v1/user/usage", params=WHOLE_YEAR | {"format": "csv"}, headers=alice.headers
    )

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(r["list"], r["cost_usd"]) for r in rows] == [
        (name, "0.000054800") for name in ("day", "model", "kind", "total")
    ]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"tz": "Mars/Base"}, "bad_time_zone"),
        ({"tz": "../etc/passwd"}, "bad_time_zone"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "bad_period"),
        ({"from": "9999-12-31"}, "bad_period"),
        ({"from": "yesterday"}, "validation_failed"),
    ],
)
async def test_bad_questions_are_refused(
    client: httpx.AsyncClient, alice: Person, params: dict[str, str], code: str
):
    answer = await client.get("/api/v1/user/usage", params=params, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_bob_pays_nothing_for_alice(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, bob: Person
):
    await book(ctx, alice.id, 54_800)

    answer = await client.get("/api/v1/user/usage", params=WHOLE_YEAR, headers=bob.headers)

    assert answer.json()["totals"]["cost_usd"] == "0.000000000"


async def test_administrators_see_an_accounts_amounts(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, root: Person
):
    await book(ctx, alice.id, 54_800)

    answer = await client.get(
        f"/api/v1/admin/accounts/{alice.id}/usage", params=WHOLE_YEAR, headers=root.headers
    )

    assert answer.json()["totals"]["cost_usd"] == "0.000054800"


async def test_administrators_set_budgets(client: httpx.AsyncClient, alice: Person, root: Person):
    change = {"budget_usd": "12.50", "budget_period": "1mo"}

    answer = await client.patch(
        f"/api/v1/admin/accounts/{alice.id}", json=change, headers=root.headers
    )

    assert answer.json()["budget"]["limit_usd"] == "12.500000000"
    body = (await client.get("/api/v1/user/usage", headers=alice.headers)).json()
    assert (body["budget"]["limit_usd"], body["budget"]["period"]) == ("12.500000000", "1mo")


@pytest.mark.parametrize(
    "change", [{"budget_usd": "-1"}, {"budget_usd": "lots"}, {"budget_period": "fortnight"}]
)
async def test_bad_budgets_are_refused(
    client: httpx.AsyncClient, alice: Person, root: Person, change: dict[str, str]
):
    answer = await client.patch(
        f"/api/v1/admin/accounts/{alice.id}", json=change, headers=root.headers
    )

    assert answer.status_code == 422
