"""An account gets one agent, when it is first needed, whatever happens meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from sqlmodel import select

from chat_platform.agents.agents import agent_of, agent_status, ensure_agent
from chat_platform.agents.lock import hold
from chat_platform.agents.revisions import history_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Unavailable
from chat_platform.models import Agent
from chat_platform.ports import AgentState
from chat_platform.values.ids import AccountId, AgentId
from tests.fakes import FakeRuntime
from tests.people import Person


async def agents_of(ctx: AppContext) -> list[str]:
    async with reading(ctx.engine) as session:
        return [agent.agent_id for agent in (await session.exec(select(Agent))).all()]


async def test_nobody_has_an_agent_before_it_is_needed(ctx: AppContext, alice: Person):
    assert await agent_of(ctx, alice.id) is None


async def test_alice_and_bob_have_agents_of_their_own(ctx: AppContext, alice: Person, bob: Person):
    hers = await ensure_agent(ctx, alice.account)
    his = await ensure_agent(ctx, bob.account)

    assert hers != his
    assert await agent_of(ctx, alice.id) == hers
    assert await agent_of(ctx, bob.id) == his


async def test_ten_first_needs_at_once_make_one_agent(ctx: AppContext, alice: Person):
    made = await asyncio.gather(*(ensure_agent(ctx, alice.account) for _ in range(10)))

    assert len(set(made)) == 1
    assert await agents_of(ctx) == [made[0]]


@dataclass
class OvertakenRuntime(FakeRuntime):
    """While it creates an agent, another process creates one too and stores it."""

    overtake: Callable[[], Awaitable[None]] | None = None
    told: list[AgentId | None] = field(default_factory=list)

    async def ensure_agent(
        self, account_id: AccountId, agent_id: AgentId | None, *, person_name: str
    ) -> AgentState:
        self.told.append(agent_id)
        if agent_id is None and self.overtake:
            await self.overtake()
        return AgentState(agent_id or AgentId("ours"), "demo-chat", 0)


async def test_the_agent_that_another_process_stored_first_is_the_one(
    ctx: AppContext, alice: Person
):
    async def store_theirs() -> None:
        async with transaction(ctx.engine) as session:
            session.add(Agent(account_id=alice.id, agent_id=AgentId("theirs")))

    overtaken = OvertakenRuntime(overtake=store_theirs)

    agent_id = await ensure_agent(replace(ctx, runtime=overtaken), alice.account)

    assert agent_id == "theirs"
    assert overtaken.told == [None, "theirs"]


async def test_an_agent_that_was_lost_is_replaced_in_its_row(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    lost = await ensure_agent(ctx, alice.account)
    await runtime.delete_agent(lost)

    made = await ensure_agent(ctx, alice.account)

    assert made != lost
    assert await agents_of(ctx) == [made]


async def test_a_failed_first_need_leaves_nothing_and_the_next_one_works(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.is_down = True
    with pytest.raises(Unavailable):
        await ensure_agent(ctx, alice.account)
    runtime.is_down = False

    assert await agents_of(ctx) == []
    assert await ensure_agent(ctx, alice.account)


async def test_what_the_blocks_said_at_first_is_in_their_history(ctx: AppContext, alice: Person):
    await ensure_agent(ctx, alice.account)

    revisions = await history_of(ctx, alice.id, "human", limit=10)

    assert [revision.value for revision in revisions] == ["The human block."]


async def test_the_status_follows_the_agents_life(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    seen = [(await agent_status(ctx, alice.id)).condition]
    async with hold(ctx, alice.id, "message"):
        seen.append((await agent_status(ctx, alice.id)).condition)
    await ensure_agent(ctx, alice.account)
    seen.append((await agent_status(ctx, alice.id)).condition)
    runtime.is_down = True
    seen.append((await agent_status(ctx, alice.id)).condition)

    assert seen == ["absent", "provisioning", "ready", "unavailable"]
