"""An agent's whole memory: read at a glance, or reset. Its parts are `blocks` and `archive`."""

import asyncio
from dataclasses import dataclass

from chat_platform.agents import revisions
from chat_platform.agents.agents import ensure_agent, replace_agent
from chat_platform.agents.archive import MAX_PASSAGES
from chat_platform.agents.blocks import BlockState, replace_block, state_of
from chat_platform.agents.changes import changing
from chat_platform.agents.lock import hold
from chat_platform.agents.revisions import BY_AGENT, Cause
from chat_platform.context import AppContext
from chat_platform.models import Account
from chat_platform.ports import Passage
from chat_platform.values.ids import AgentId

_RECENT_PASSAGES = 10


@dataclass(frozen=True)
class Memory:
    blocks: list[BlockState]
    passage_count: int
    recent_passages: list[Passage]
    recall_message_count: int


async def read_memory(ctx: AppContext, account: Account) -> Memory:
    agent_id = await ensure_agent(ctx, account)
    blocks, recent, (passage_count, recall_message_count), latest = await asyncio.gather(
        ctx.memory.blocks(agent_id),
        ctx.memory.passages(agent_id, limit=_RECENT_PASSAGES),
        ctx.memory.count(agent_id),
        revisions.latest_of(ctx, account.id),
    )
    return Memory(
        blocks=[state_of(block, latest.get(block.label)) for block in blocks],
        passage_count=passage_count,
        recent_passages=recent,
        recall_message_count=recall_message_count,
    )


async def reset_memory(ctx: AppContext, account: Account) -> None:
    """Restore the original text of every block and empty the archive; the agent itself stays.

    The blocks' history records it and can undo it; the archive is lost. Raises as `write_block`.
    """
    async with changing(ctx, account) as (agent_id, turn_id):
        first = await revisions.first_of(ctx, account.id)
        for block in await ctx.memory.blocks(agent_id):
            await revisions.record(ctx, account.id, [block], BY_AGENT)
            cause = Cause("person", turn_id)
            await replace_block(ctx, account, agent_id, block, first.get(block.label, ""), cause)
        while passages := await ctx.memory.passages(agent_id, limit=MAX_PASSAGES):
            for passage in passages:
                await ctx.memory.delete_passage(agent_id, passage.id)


async def reset_agent(ctx: AppContext, account: Account) -> AgentId:
    """Replace the agent with a new one that remembers nothing; the chat history stays."""
    async with hold(ctx, account.id, "memory"):
        return await replace_agent(ctx, account)
