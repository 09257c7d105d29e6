"""The blocks of an agent's memory, as its person reads and edits them."""

from collections.abc import Collection
from dataclasses import dataclass

from chat_platform.agents import revisions
from chat_platform.agents.agents import agent_of
from chat_platform.agents.changes import changing, ensure_fits
from chat_platform.agents.revisions import BY_AGENT, Cause, revision_of
from chat_platform.context import AppContext
from chat_platform.errors import NotFound, Outdated
from chat_platform.models import Account, BlockRevision
from chat_platform.ports import MemoryBlock
from chat_platform.values.ids import AccountId, AgentId, TurnId

MAX_REVISIONS = 200


@dataclass(frozen=True)
class BlockState:
    block: MemoryBlock
    revision: str
    updated_at_ms: int | None


async def write_block(
    ctx: AppContext,
    account: Account,
    label: str,
    value: str,
    *,
    expected_revisions: Collection[str] | None,
) -> BlockState:
    """Replace the block's value if it is still at one of these revisions; None: at any.

    Raises Outdated `memory_changed` with the current block, Invalid `memory_too_long`, Conflict
    `turn_running`, NotFound.
    """
    async with changing(ctx, account) as (agent_id, turn_id):
        current = await _read_block(ctx, account, agent_id, label)
        if expected_revisions is not None and revision_of(current.value) not in expected_revisions:
            raise _changed_meanwhile(current)
        return await replace_block(ctx, account, agent_id, current, value, Cause("person", turn_id))


async def block_history(ctx: AppContext, account: Account, label: str) -> list[BlockRevision]:
    """Return the block's revisions, newest first. Raises NotFound."""
    account_id = account.id
    history = await revisions.history_of(ctx, account_id, label, limit=MAX_REVISIONS)
    if not history:
        raise no_block()
    return history


async def undo_block(ctx: AppContext, account: Account, label: str, revision: str) -> BlockState:
    """Give the block the value that it had at `revision`. Raises as `write_block`, and NotFound."""
    async with changing(ctx, account) as (agent_id, turn_id):
        wanted = await revisions.find(ctx, account.id, label, revision)
        if wanted is None:
            raise NotFound("There is no such version of this memory.")
        current = await _read_block(ctx, account, agent_id, label)
        cause = Cause("undo", turn_id)
        return await replace_block(ctx, account, agent_id, current, wanted.value, cause)


async def snapshot_blocks(
    ctx: AppContext, account_id: AccountId, turn_id: TurnId, step: int
) -> list[BlockRevision]:
    """Record which blocks the agent changed up to this step of its turn, and return them."""
    agent_id = await agent_of(ctx, account_id)
    if agent_id is None:
        return []
    blocks = await ctx.memory.blocks(agent_id)
    return await revisions.record(ctx, account_id, blocks, Cause("agent", turn_id, step))


async def _read_block(
    ctx: AppContext, account: Account, agent_id: AgentId, label: str
) -> MemoryBlock:
    """Return the block's current value, and record it, so that the change can be undone."""
    blocks = await ctx.memory.blocks(agent_id)
    block = next((block for block in blocks if block.label == label), None)
    if block is None:
        raise no_block()
    await revisions.record(ctx, account.id, [block], BY_AGENT)
    return block


async def replace_block(
    ctx: AppContext,
    account: Account,
    agent_id: AgentId,
    current: MemoryBlock,
    value: str,
    cause: Cause,
) -> BlockState:
    ensure_fits("value", value, current.limit)
    written = await ctx.memory.write_block(agent_id, current.label, value)
    account_id = account.id
    await revisions.record(ctx, account_id, [written], cause)
    latest = await revisions.latest_of(ctx, account_id)
    return state_of(written, latest.get(current.label))


def state_of(block: MemoryBlock, latest: BlockRevision | None) -> BlockState:
    revision = revision_of(block.value)
    if latest is None or latest.revision != revision:
        return BlockState(block, revision, block.updated_at_ms)
    return BlockState(block, revision, latest.changed_at_ms)


def _changed_meanwhile(current: MemoryBlock) -> Outdated:
    return Outdated(
        "This memory changed while you were editing it. Look at both versions, then save again.",
        code="memory_changed",
        extra={"revision": revision_of(current.value), "value": current.value},
    )


def no_block() -> NotFound:
    return NotFound("There is no such memory block.")
