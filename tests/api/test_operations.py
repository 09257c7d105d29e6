"""Administrators read what an operator watches; nobody else learns that it exists."""

import httpx

from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.operations.overview import overview
from tests.fakes import FakeGateway
from tests.ledger_entries import intent, new_payer, opened, settlement
from tests.people import Person

PATH = "/api/v1/admin/overview"


async def test_to_others_it_does_not_exist(client: httpx.AsyncClient, alice: Person):
    answer = await client.get(PATH, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_administrator_reads_the_same_figures_as_the_page(
    client: httpx.AsyncClient, ctx: AppContext, root: Person, alice: Person
):
    entry = intent(ctx, await new_payer(ctx, "payer"))
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, 1_234_567_891))

    answer = await client.get(PATH, headers=root.headers)

    told, read = answer.json(), await overview(ctx)
    assert answer.status_code == 200
    assert told["spending"]["today"]["cost_usd"] == "1.234567891"
    assert told["spending"]["month"]["cost_usd"] == "1.234567891"
    [model] = told["spending"]["by_model"]
    assert (model["model"], model["cost_usd"], model["prompt_tokens"]) == (
        "demo-chat",
        "1.234567891",
        12,
    )
    assert told["people"]["total"] == read.people.total == 3
    assert told["platform_budget"] == {"total": None, "day": None}
    assert told["versions"] == {"platform": read.version, "database_schema": read.schema}
    assert told["background"]["open_calls"] == 0


async def test_a_peer_that_is_down_is_reported_and_fails_nothing(
    client: httpx.AsyncClient, root: Person, gateway: FakeGateway
):
    gateway.is_down = True

    answer = await client.get(PATH, headers=root.headers)

    assert answer.status_code == 200
    status = {peer["name"]: peer["status"] for peer in answer.json()["peers"]}
    assert (status["database"], status["agent_server"]) == ("ok", "ok")
    assert status["billing_gateway"] != "ok"
