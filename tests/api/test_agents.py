"""The agent as its person sees it over REST, and starting over."""

import httpx

from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.lock import hold
from chat_platform.context import AppContext
from tests.fakes import FakeRuntime
from tests.people import Person


async def test_a_new_person_has_no_agent_yet(client: httpx.AsyncClient, alice: Person):
    answer = await client.get("/api/v1/agent/status", headers=alice.headers)

    assert answer.json() == {
        "agent_id": None,
        "status": "absent",
        "model": "demo-chat",
        "created_at": None,
        "last_active_at": None,
        "message_count": 0,
    }


async def test_strangers_see_no_agent(client: httpx.AsyncClient):
    assert (await client.get("/api/v1/agent/status")).status_code == 401
    assert (await client.post("/api/v1/agent/reset", json={"confirm": "reset"})).status_code == 401


async def test_a_reset_makes_a_fresh_agent_that_remembers_nothing(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    old = await ensure_agent(ctx, alice.account)
    before = (await client.get("/api/v1/agent/memory", headers=alice.headers)).json()
    revision = before["blocks"][0]["revision"]
    await client.put(
        "/api/v1/agent/memory/persona",
        json={"value": "I am a pirate."},
        headers=alice.headers | {"If-Match": f'"{revision}"'},
    )

    answer = await client.post(
        "/api/v1/agent/reset", json={"confirm": "reset"}, headers=alice.headers
    )

    history = await client.get("/api/v1/agent/memory/persona/history", headers=alice.headers)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["agent_id"] != old
    assert runtime.deleted == [old]
    assert "pirate" not in history.text


async def test_a_reset_of_alices_agent_leaves_bobs_alone(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, bob: Person, runtime: FakeRuntime
):
    hers = await ensure_agent(ctx, alice.account)
    his = await ensure_agent(ctx, bob.account)

    await client.post("/api/v1/agent/reset", json={"confirm": "reset"}, headers=alice.headers)

    status = await client.get("/api/v1/agent/status", headers=bob.headers)
    assert runtime.deleted == [hers]
    assert status.json()["agent_id"] == his


async def test_a_reset_must_be_meant(client: httpx.AsyncClient, alice: Person):
    for body in ({}, {"confirm": "yes"}):
        answer = await client.post("/api/v1/agent/reset", json=body, headers=alice.headers)
        assert answer.status_code == 422


async def test_a_reset_waits_for_the_turn_to_end(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    async with hold(ctx, alice.id, "message"):
        answer = await client.post(
            "/api/v1/agent/reset", json={"confirm": "reset"}, headers=alice.headers
        )

    assert answer.status_code == 409
    assert answer.json()["code"] == "turn_running"
    assert runtime.deleted == []


async def test_a_reset_while_the_agent_server_is_down_changes_nothing(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    old = await ensure_agent(ctx, alice.account)
    runtime.is_down = True

    answer = await client.post(
        "/api/v1/agent/reset", json={"confirm": "reset"}, headers=alice.headers
    )

    status = await client.get("/api/v1/agent/status", headers=alice.headers)
    assert answer.status_code == 503
    assert answer.json()["code"] == "agent_unavailable"
    assert (status.json()["agent_id"], status.json()["status"]) == (old, "unavailable")
