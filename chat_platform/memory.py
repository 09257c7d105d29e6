"""What an agent remembers, shown to its person and changed by them.

Changes hold the TurnLock: the runtime has no compare-and-set, so nothing else may write meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chat_platform import block_revisions
from chat_platform.agents import agent_of, ensure_agent, replace_agent
from chat_platform.billing import budgets
from chat_platform.block_revisions import BY_AGENT, Cause, revision_of
from chat_platform.context import AppContext
from chat_platform.errors import FieldError, Invalid, NotFound, Outdated
from chat_platform.ids import AccountId, AgentId, TurnId
from chat_platform.models import Account, BlockRevision
from chat_platform.ports import MemoryBlock, Passage
from chat_platform.turn_lock import hold

MAX_PASSAGE_CHARACTERS = 8_000
MAX_PASSAGES = 200
MAX_REVISIONS = 200
_RECENT_PASSAGES = 10


@dataclass(frozen=True)
class BlockState:
    block: MemoryBlock
    revision: str
    updated_at_ms: int | None


@dataclass(frozen=True)
class Memory:
    blocks: list[BlockState]
    passage_count: int
    recent_passages: list[Passage]
    recall_message_count: int


@dataclass(frozen=True)
class PassagePage:
    passages: list[Passage]
    has_more: bool
    next_before: str | None


async def read_memory(ctx: AppContext, account: Account) -> Memory:
    agent_id = await ensure_agent(ctx, account)
    blocks, recent, (passage_count, recall_message_count), latest = await asyncio.gather(
        ctx.memory.blocks(agent_id),
        ctx.memory.passages(agent_id, limit=_RECENT_PASSAGES),
        ctx.memory.count(agent_id),
        block_revisions.latest_of(ctx, AccountId(account.id)),
    )
    return Memory(
        blocks=[_state(block, latest.get(block.label)) for block in blocks],
        passage_count=passage_count,
        recent_passages=recent,
        recall_message_count=recall_message_count,
    )


async def write_block(
    ctx: AppContext, account: Account, label: str, value: str, *, expected_revision: str
) -> BlockState:
    """Replace the block's value, if it still is at `expected_revision`.

    Raises Outdated `memory_changed` with the current block, Invalid `memory_too_long`, Conflict
    `turn_running`, NotFound.
    """
    async with _changing(ctx, account) as (agent_id, turn_id):
        current = await _read_block(ctx, account, agent_id, label)
        if revision_of(current.value) != expected_revision:
            raise _changed_meanwhile(current)
        return await _replace(ctx, account, agent_id, current, value, Cause("person", turn_id))


async def block_history(ctx: AppContext, account: Account, label: str) -> list[BlockRevision]:
    """Return the block's revisions, newest first. Raises NotFound."""
    account_id = AccountId(account.id)
    revisions = await block_revisions.history_of(ctx, account_id, label, limit=MAX_REVISIONS)
    if not revisions:
        raise _no_block()
    return revisions


async def undo_block(ctx: AppContext, account: Account, label: str, revision: str) -> BlockState:
    """Give the block the value that it had at `revision`. Raises as `write_block`, and NotFound."""
    async with _changing(ctx, account) as (agent_id, turn_id):
        wanted = await block_revisions.find(ctx, AccountId(account.id), label, revision)
        if wanted is None:
            raise NotFound("There is no such revision of this memory.")
        current = await _read_block(ctx, account, agent_id, label)
        cause = Cause("undo", turn_id)
        return await _replace(ctx, account, agent_id, current, wanted.value, cause)


async def snapshot_blocks(
    ctx: AppContext, account_id: AccountId, turn_id: TurnId, step: int
) -> list[BlockRevision]:
    """Record which blocks the agent changed up to this step of its turn, and return them."""
    agent_id = await agent_of(ctx, account_id)
    if agent_id is None:
        return []
    blocks = await ctx.memory.blocks(agent_id)
    return await block_revisions.record(ctx, account_id, blocks, Cause("agent", turn_id, step))


async def list_passages(
    ctx: AppContext,
    account: Account,
    *,
    query: str = "",
    limit: int = 50,
    before: str | None = None,
) -> PassagePage:
    """Return a page of the archive, newest first; with a query, the nearest in meaning first.

    A query is embedded and charged: raises BudgetSpent.
    """
    agent_id = await ensure_agent(ctx, account)
    if query:
        await budgets.ensure_affordable(ctx, AccountId(account.id))
        found = await ctx.memory.passages(agent_id, query=query, limit=limit)
        return PassagePage(found, has_more=False, next_before=None)
    found = await ctx.memory.passages(agent_id, limit=limit + 1, before=before)
    page, has_more = found[:limit], len(found) > limit
    return PassagePage(page, has_more, page[-1].id if has_more else None)


async def add_passage(ctx: AppContext, account: Account, text: str) -> Passage:
    """Raises Invalid `memory_too_long`, BudgetSpent, Conflict `turn_running`."""
    _ensure_fits("text", text, MAX_PASSAGE_CHARACTERS)
    await budgets.ensure_affordable(ctx, AccountId(account.id))
    async with _changing(ctx, account) as (agent_id, _):
        return await ctx.memory.add_passage(agent_id, text)


async def delete_passage(ctx: AppContext, account: Account, passage_id: str) -> None:
    """Raises NotFound, also for a passage of somebody else's agent."""
    async with _changing(ctx, account) as (agent_id, _):
        await ctx.memory.delete_passage(agent_id, passage_id)


async def reset_memory(ctx: AppContext, account: Account) -> None:
    """Give every block its first text back and empty the archive; the agent itself stays.

    The blocks' history tells of it and can undo it; the archive is gone. Raises as `write_block`.
    """
    async with _changing(ctx, account) as (agent_id, turn_id):
        first = await block_revisions.first_of(ctx, AccountId(account.id))
        for block in await ctx.memory.blocks(agent_id):
            await block_revisions.record(ctx, AccountId(account.id), [block], BY_AGENT)
            cause = Cause("person", turn_id)
            await _replace(ctx, account, agent_id, block, first.get(block.label, ""), cause)
        while passages := await ctx.memory.passages(agent_id, limit=MAX_PASSAGES):
            for passage in passages:
                await ctx.memory.delete_passage(agent_id, passage.id)


async def reset_agent(ctx: AppContext, account: Account) -> AgentId:
    """Replace the agent by a fresh one that remembers nothing; the chat history stays."""
    async with hold(ctx, AccountId(account.id), "memory"):
        return await replace_agent(ctx, account)


@asynccontextmanager
async def _changing(ctx: AppContext, account: Account) -> AsyncIterator[tuple[AgentId, TurnId]]:
    async with hold(ctx, AccountId(account.id), "memory") as turn_id:
        yield await ensure_agent(ctx, account), turn_id


async def _read_block(
    ctx: AppContext, account: Account, agent_id: AgentId, label: str
) -> MemoryBlock:
    """Return the block as it is now, and record it: what is replaced can be undone."""
    blocks = await ctx.memory.blocks(agent_id)
    block = next((block for block in blocks if block.label == label), None)
    if block is None:
        raise _no_block()
    await block_revisions.record(ctx, AccountId(account.id), [block], BY_AGENT)
    return block


async def _replace(
    ctx: AppContext,
    account: Account,
    agent_id: AgentId,
    current: MemoryBlock,
    value: str,
    cause: Cause,
) -> BlockState:
    _ensure_fits("value", value, current.limit)
    written = await ctx.memory.write_block(agent_id, current.label, value)
    account_id = AccountId(account.id)
    await block_revisions.record(ctx, account_id, [written], cause)
    latest = await block_revisions.latest_of(ctx, account_id)
    return _state(written, latest.get(current.label))


def _state(block: MemoryBlock, latest: BlockRevision | None) -> BlockState:
    revision = revision_of(block.value)
    if latest is None or latest.revision != revision:
        return BlockState(block, revision, block.updated_at_ms)
    return BlockState(block, revision, latest.changed_at_ms)


def _ensure_fits(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        words = f"Use at most {limit:,} characters; these are {len(value):,}."
        raise Invalid(words, code="memory_too_long", fields=(FieldError(field, words),))


def _changed_meanwhile(current: MemoryBlock) -> Outdated:
    return Outdated(
        "This memory changed while you were editing it. Look at both versions, then save again.",
        code="memory_changed",
        extra={"revision": revision_of(current.value), "value": current.value},
    )


def _no_block() -> NotFound:
    return NotFound("There is no such memory block.")
