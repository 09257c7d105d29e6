"""Which agent an account has, and its status. Talks to the agent runtime, never to a model."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from weakref import WeakValueDictionary

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from chat_platform.agents import revisions
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Unavailable
from chat_platform.models import Account, Agent, Message, Turn
from chat_platform.values.ids import AccountId, AgentId

AgentCondition = Literal["absent", "provisioning", "ready", "unavailable"]

# Concurrent first uses in this process create one agent; the agents table decides between
# processes.
_making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True)
class AgentStatus:
    agent_id: AgentId | None
    condition: AgentCondition
    model: str
    created_at_ms: int | None
    last_active_at_ms: int | None
    message_count: int


async def ensure_agent(
    ctx: AppContext, account: Account, *, known: AgentId | None = None
) -> AgentId:
    """Return the account's agent, created when first needed and updated to match the settings.

    `known` is its id, where the caller has it from the database already.
    Its row is stored before this returns, so the proxy knows every agent that can make calls.
    Raises Unavailable.
    """
    lock = _making.setdefault(account.id, asyncio.Lock())
    async with lock:
        account_id = account.id
        known = known or await agent_of(ctx, account_id)
        state = await ctx.runtime.ensure_agent(account_id, known, person_name=account.name)
        if state.agent_id == known:
            return state.agent_id
        counts = await _record(ctx, account_id, known=known, made=state.agent_id)
        if counts != state.agent_id:
            # Another process was first: the runtime removes ours when it hears which one counts.
            await ctx.runtime.ensure_agent(account_id, counts, person_name=account.name)
        await revisions.record(ctx, account_id, await ctx.memory.blocks(counts), revisions.BY_AGENT)
        return counts


async def agent_of(ctx: AppContext, account_id: AccountId) -> AgentId | None:
    """Return the agent's id, or None until the agent is first needed."""
    async with reading(ctx.engine) as session:
        agent = await session.get(Agent, account_id)
    return agent.agent_id if agent else None


async def replace_agent(ctx: AppContext, account: Account) -> AgentId:
    """Delete the account's agent and everything it remembers, and create a new one.

    Can be repeated after a partial failure. The caller holds the TurnLock.
    """
    account_id = account.id
    agent_id = await agent_of(ctx, account_id)
    if agent_id:
        await ctx.runtime.delete_agent(agent_id)
    async with transaction(ctx.engine) as session:
        await session.exec(delete(Agent).where(col(Agent.account_id) == account_id))
        await revisions.forget(session, account_id)
    return await ensure_agent(ctx, account)


async def agent_status(ctx: AppContext, account_id: AccountId) -> AgentStatus:
    async with reading(ctx.engine) as session:
        agent = await session.get(Agent, account_id)
        messages = await session.exec(
            select(func.count(), func.max(Message.created_at_ms)).where(
                col(Message.account_id) == account_id
            )
        )
        message_count, last_active_at_ms = messages.one()
    return AgentStatus(
        agent_id=agent.agent_id if agent else None,
        condition=await _condition(ctx, account_id, agent),
        model=ctx.settings.model_for_chat,
        created_at_ms=agent.created_at_ms if agent else None,
        last_active_at_ms=last_active_at_ms,
        message_count=message_count,
    )


async def _condition(ctx: AppContext, account_id: AccountId, agent: Agent | None) -> AgentCondition:
    if agent is None:
        return "provisioning" if await _is_turn_running(ctx, account_id) else "absent"
    try:
        await ctx.runtime.check()
    except Unavailable:
        return "unavailable"
    return "ready"


async def _is_turn_running(ctx: AppContext, account_id: AccountId) -> bool:
    query = select(Turn.id).where(col(Turn.account_id) == account_id, Turn.status == "running")
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).first() is not None


async def _record(
    ctx: AppContext, account_id: AccountId, *, known: AgentId | None, made: AgentId
) -> AgentId:
    """Store the agent that was made, unless another process stored its own; return what counts."""
    try:
        async with transaction(ctx.engine) as session:
            if known is None:
                session.add(Agent(account_id=account_id, agent_id=made))
            else:
                await session.exec(
                    update(Agent)
                    .where(col(Agent.account_id) == account_id, col(Agent.agent_id) == known)
                    .values(agent_id=made)
                )
    except IntegrityError:
        pass
    return await agent_of(ctx, account_id) or made
