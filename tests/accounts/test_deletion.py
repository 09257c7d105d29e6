"""A deleted account is gone everywhere, even if a peer was down; anonymous amounts stay."""

import httpx
from sqlmodel import col, select

from chat_platform.accounts import deletion
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account, Agent, AuditEntry, ModelCall, SignIn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId
from tests.fakes import FakeGateway, FakeRuntime
from tests.people import PASSWORD, Person


async def with_agent_and_call(ctx: AppContext, person: Person) -> AgentId:
    agent_id = AgentId(f"agent-{person.id}")
    async with transaction(ctx.engine) as session:
        session.add(Agent(account_id=person.id, agent_id=agent_id))
        session.add(
            ModelCall(
                account_id=person.id,
                agent_id=agent_id,
                kind="chat",
                model="demo-chat",
                state="settled",
                cost_nano_usd=54_800,
                owner="tests",
                lease_until_ms=now_ms(),
            )
        )
    return agent_id


async def rows(ctx: AppContext, table: type) -> list:
    async with reading(ctx.engine) as session:
        return list((await session.exec(select(table))).all())


async def delete(client: httpx.AsyncClient, person: Person, password: str = PASSWORD):
    return await client.request(
        "DELETE", "/api/v1/user", json={"password": password}, headers=person.headers
    )


async def test_deleting_an_account_deletes_it_everywhere(
    ctx: AppContext,
    client: httpx.AsyncClient,
    runtime: FakeRuntime,
    gateway: FakeGateway,
    alice: Person,
    bob: Person,
):
    agent_id = await with_agent_and_call(ctx, alice)

    answer = await delete(client, alice)

    assert answer.status_code == 202
    assert runtime.deleted == [agent_id]
    assert gateway.closed == [alice.id]
    assert [a.id for a in await rows(ctx, Account)] == [bob.id]
    assert {s.account_id for s in await rows(ctx, SignIn)} == {bob.id}
    assert (await client.get("/api/v1/auth/me", headers=bob.headers)).status_code == 200


async def test_the_ledger_keeps_amounts_that_name_nobody(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await with_agent_and_call(ctx, alice)

    await delete(client, alice)

    (call,) = await rows(ctx, ModelCall)
    assert call.cost_nano_usd == 54_800
    assert alice.id not in call.model_dump_json()


async def test_a_wrong_password_deletes_nothing(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    answer = await delete(client, alice, "not this one")

    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert len(await rows(ctx, Account)) == 1


async def test_deletion_goes_on_when_the_peer_is_back(
    ctx: AppContext, client: httpx.AsyncClient, runtime: FakeRuntime, alice: Person
):
    agent_id = await with_agent_and_call(ctx, alice)
    runtime.is_down = True
    await delete(client, alice)
    assert len(await rows(ctx, Account)) == 1

    runtime.is_down = False
    await deletion.resume_deletions(ctx)

    assert runtime.deleted == [agent_id]
    assert await rows(ctx, Account) == []


async def test_while_deletion_waits_nobody_can_sign_in(
    client: httpx.AsyncClient, gateway: FakeGateway, alice: Person
):
    gateway.is_down = True

    await delete(client, alice)

    login = {"email": alice.account.email, "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", json=login)
    assert (answer.status_code, answer.json()["code"]) == (401, "account_deleted")
    for headers in (alice.headers, alice.browser_headers):
        assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_the_audit_log_tells_of_the_deletion_without_content(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await delete(client, alice)

    async with reading(ctx.engine) as session:
        query = select(col(AuditEntry.action)).where(col(AuditEntry.subject_id) == alice.id)
        told = (await session.exec(query)).all()
    assert list(told) == ["account.deletion_began", "account.deleted"]


async def test_the_address_is_free_again(client: httpx.AsyncClient, alice: Person):
    await delete(client, alice)

    again = {"email": alice.account.email, "password": PASSWORD}
    answer = await client.post("/api/v1/auth/register", json=again)

    assert answer.status_code == 201
