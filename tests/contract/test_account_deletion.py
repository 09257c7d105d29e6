"""A deleted account leaves nothing at any peer: read from the peers' own databases.

Real Letta, real LiteLLM with its database and a GoTrue-compatible server; the model is scripted.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, select

from chat_platform.accounts import deletion
from chat_platform.adapters.identity.supabase import SupabaseIdentity
from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime
from chat_platform.adapters.litellm import admin_client, open_gateway
from chat_platform.agents.agents import ensure_agent
from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account, ModelCall
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, new_id
from tests.contract.conftest import LettaServer
from tests.contract.scripted_model import CallsTool, Says, ScriptedModel
from tests.contract.supabase_rig import Rig, supabase_rig
from tests.litellm_rig import LiteLlmRig
from tests.people import PASSWORD

__all__ = ["supabase_rig"]

pytestmark = [pytest.mark.rig, pytest.mark.timeout(900)]

NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Peers:
    letta: LettaServer
    letta_settings: Settings
    litellm: LiteLlmRig
    supabase: Rig


@pytest.fixture
def peers(
    letta: LettaServer, letta_settings: Settings, litellm_rig: LiteLlmRig, supabase_rig: Rig
) -> Peers:
    return Peers(letta, letta_settings, litellm_rig, supabase_rig)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def ctx(
    ctx: AppContext,
    peers: Peers,
    agents: LettaRuntime,
    memories: LettaMemory,
    stack: AsyncExitStack,
) -> AppContext:
    """The platform with its real adapters."""
    billing_settings = peers.litellm.settings(ctx.settings)
    billing = open_gateway(
        billing_settings, await stack.enter_async_context(admin_client(billing_settings))
    )
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=10))
    identity = SupabaseIdentity(peers.supabase.settings(peers.supabase.open_url), http)
    return replace(ctx, runtime=agents, memory=memories, billing=billing, identity=identity)


@dataclass(frozen=True)
class Deleted:
    """A person who told their agent a secret word, and then deleted the account."""

    id: AccountId
    email: str
    subject: str
    agent_id: str
    secret: str


@pytest.fixture
async def person(ctx: AppContext, client: httpx.AsyncClient, model: ScriptedModel) -> Deleted:
    secret, email = f"secret{new_id()}", f"{new_id()}@example.com"
    body = {"email": email, "password": PASSWORD, "name": "Alice"}
    registered = (await client.post("/api/v1/auth/register", json=body)).json()
    client.headers["Authorization"] = f"Bearer {registered['access_token']}"
    account_id = AccountId(registered["user"]["id"])
    await ctx.billing.open_account(account_id, key_version=1)
    async with reading(ctx.engine) as session:
        account = (await session.exec(select(Account))).one()
    agent_id = await ensure_agent(ctx, account)
    model.will(
        CallsTool("archival_memory_insert", {"content": f"Loves {secret}."}),
        CallsTool("memory_insert", {"label": "human", "new_string": f"Says {secret}."}),
        Says(f"I keep {secret}."),
    )
    said = await client.post("/api/v1/chat/message", json={"content": f"Remember {secret}"})
    assert said.status_code == 200
    async with transaction(ctx.engine) as session:
        call = ModelCall(
            account_id=account_id,
            agent_id=agent_id,
            kind="chat",
            model="demo-chat",
            state="settled",
            cost_nano_usd=54_800,
            owner="tests",
            lease_until_ms=now_ms(),
        )
        session.add(call)
    return Deleted(account_id, email, account.auth_subject, agent_id, secret)


async def delete(client: httpx.AsyncClient) -> None:
    answer = await client.request("DELETE", "/api/v1/user", json={"password": PASSWORD})
    assert answer.status_code == 202


async def test_a_deleted_account_leaves_nothing_at_any_peer(
    ctx: AppContext, client: httpx.AsyncClient, peers: Peers, person: Deleted
):
    assert set(traces(peers.letta.database_url, person.secret)) >= {"messages", "block"}
    assert litellm_rows(peers.litellm, person) == (1, 1)

    await delete(client)

    for trace in (person.secret, person.id, person.agent_id, person.email):
        assert traces(peers.letta.database_url, trace) == {}
    assert litellm_rows(peers.litellm, person) == (0, 0)
    assert await supabase_knows(peers.supabase, person) is False
    assert await own_traces(ctx, person) == {"audit_entries", "installation"}


@pytest.mark.parametrize("peer", ["letta", "litellm", "supabase"])
async def test_deletion_goes_on_where_a_peer_was_down(
    ctx: AppContext,
    client: httpx.AsyncClient,
    peers: Peers,
    person: Deleted,
    stack: AsyncExitStack,
    peer: str,
):
    api = create_api()
    api.state.ctx = await without(ctx, peers, stack, peer)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=api),
        base_url="http://platform.test",
        headers=client.headers,
    ) as while_down:
        answer = await while_down.request("DELETE", "/api/v1/user", json={"password": PASSWORD})
        if peer == "supabase":
            # The password cannot be checked, so nothing has begun.
            assert answer.status_code == 503
            async with transaction(ctx.engine) as session:
                account = (await session.exec(select(Account))).one()
                account.deleting_at_ms = now_ms()
                session.add(account)
            await deletion.resume_deletions(api.state.ctx)
        else:
            assert answer.status_code == 202
    async with reading(ctx.engine) as session:
        assert len((await session.exec(select(Account))).all()) == 1

    await deletion.resume_deletions(ctx)

    assert traces(peers.letta.database_url, person.secret) == {}
    assert litellm_rows(peers.litellm, person) == (0, 0)
    assert await supabase_knows(peers.supabase, person) is False
    assert await own_traces(ctx, person) == {"audit_entries", "installation"}


async def without(ctx: AppContext, peers: Peers, stack: AsyncExitStack, peer: str) -> AppContext:
    """Return the platform with one of its peers not answering."""
    if peer == "letta":
        client = ctx.runtime._client.copy(base_url=NOWHERE, max_retries=0)  # pyright: ignore
        return replace(ctx, runtime=LettaRuntime(client, peers.letta_settings))
    if peer == "litellm":
        settings = peers.litellm.settings(ctx.settings).model_copy(
            update={"litellm_base_url": NOWHERE}
        )
        http = await stack.enter_async_context(admin_client(settings))
        return replace(ctx, billing=open_gateway(settings, http))
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=2))
    return replace(ctx, identity=SupabaseIdentity(peers.supabase.settings(NOWHERE), http))


def traces(database_url: str, word: str) -> dict[str, int]:
    """Return, by table of a whole database, how many rows still contain the word anywhere."""
    found: dict[str, int] = {}
    with psycopg.connect(database_url) as database:
        query = "select table_name from information_schema.tables where table_schema = 'public'"
        tables = "select table_name from information_schema.tables where table_schema = 'public'"
        for (table,) in database.execute(tables).fetchall():
            query = f'select count(*) from "{table}" t where t::text like %s'
            row = database.execute(query.encode(), (f"%{word}%",)).fetchone()
            if row and row[0]:
                found[table] = row[0]
    return found


def litellm_rows(rig: LiteLlmRig, person: Deleted) -> tuple[int, int]:
    """Return how many users and keys LiteLLM has for the person."""
    counts = []
    with psycopg.connect(rig.database_url) as database:
        for table in ("LiteLLM_UserTable", "LiteLLM_VerificationToken"):
            query = f'select count(*) from "{table}" where user_id = %s'
            row = database.execute(query.encode(), (person.id,)).fetchone()
            counts.append(row[0] if row else 0)
    return counts[0], counts[1]


async def supabase_knows(rig: Rig, person: Deleted) -> bool:
    async with httpx.AsyncClient(base_url=rig.open_url) as http:
        answer = await http.get(
            f"/auth/v1/admin/users/{person.subject}",
            headers={"apikey": rig.secret_key, "Authorization": f"Bearer {rig.secret_key}"},
        )
    return answer.status_code == 200


async def own_traces(ctx: AppContext, person: Deleted) -> set[str]:
    """Return our tables that still contain anything of the person."""
    found = set()
    async with reading(ctx.engine) as session:
        for table in SQLModel.metadata.tables:
            rows = (await session.execute(text(f"select * from {table}"))).all()
            held = str([tuple(row) for row in rows])
            marks = (person.secret, person.email, person.id, person.agent_id, person.subject)
            if any(mark in held for mark in marks):
                found.add(table)
    return found
