"""The history of memory blocks: values, times and causes. The runtime keeps none."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import BlockRevision, Message
from chat_platform.ports import MemoryBlock
from chat_platform.values.ids import AccountId, MessageId, TurnId

CauseKind = Literal["agent", "person", "undo"]


@dataclass(frozen=True)
class Cause:
    kind: CauseKind
    turn_id: TurnId | None = None
    step: int | None = None


BY_AGENT = Cause("agent")


def revision_of(value: str) -> str:
    """Return the revision of a block with this value: a hash, equal for equal values."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


async def record(
    ctx: AppContext, account_id: AccountId, blocks: Iterable[MemoryBlock], cause: Cause
) -> list[BlockRevision]:
    """Store the changes since each block's last record, and return them."""
    async with transaction(ctx.engine) as session:
        latest = await _latest(session, account_id)
        message_id = await _message_of(session, cause.turn_id)
        changed = [
            BlockRevision(
                account_id=account_id,
                label=block.label,
                revision=revision_of(block.value),
                value=block.value,
                cause=cause.kind,
                turn_id=cause.turn_id,
                message_id=message_id,
                step=cause.step,
            )
            for block in blocks
            if block.label not in latest or latest[block.label].value != block.value
        ]
        session.add_all(changed)
    return changed


async def latest_of(ctx: AppContext, account_id: AccountId) -> dict[str, BlockRevision]:
    """Return the last recorded revision of each block, by label."""
    async with reading(ctx.engine) as session:
        return await _latest(session, account_id)


async def first_of(ctx: AppContext, account_id: AccountId) -> dict[str, str]:
    """Return each block's first recorded value, by label."""
    oldest = (
        select(func.min(BlockRevision.position))
        .where(col(BlockRevision.account_id) == account_id)
        .group_by(col(BlockRevision.label))
    )
    query = select(BlockRevision).where(col(BlockRevision.position).in_(oldest))
    async with reading(ctx.engine) as session:
        return {row.label: row.value for row in (await session.exec(query)).all()}


async def history_of(
    ctx: AppContext, account_id: AccountId, label: str, *, limit: int
) -> list[BlockRevision]:
    """Return the block's last revisions, newest first."""
    query = (
        select(BlockRevision)
        .where(col(BlockRevision.account_id) == account_id, col(BlockRevision.label) == label)
        .order_by(col(BlockRevision.position).desc())
        .limit(limit)
    )
    async with reading(ctx.engine) as session:
        return list((await session.exec(query)).all())


async def find(
    ctx: AppContext, account_id: AccountId, label: str, revision: str
) -> BlockRevision | None:
    query = select(BlockRevision).where(
        col(BlockRevision.account_id) == account_id,
        col(BlockRevision.label) == label,
        col(BlockRevision.revision) == revision,
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).first()


async def forget(session: AsyncSession, account_id: AccountId) -> None:
    await session.exec(delete(BlockRevision).where(col(BlockRevision.account_id) == account_id))


async def _latest(session: AsyncSession, account_id: AccountId) -> dict[str, BlockRevision]:
    newest = (
        select(func.max(BlockRevision.position))
        .where(col(BlockRevision.account_id) == account_id)
        .group_by(col(BlockRevision.label))
    )
    query = select(BlockRevision).where(col(BlockRevision.position).in_(newest))
    return {row.label: row for row in (await session.exec(query)).all()}


async def _message_of(session: AsyncSession, turn_id: TurnId | None) -> MessageId | None:
    """Return the person's message that began the turn."""
    if turn_id is None:
        return None
    query = select(col(Message.id)).where(col(Message.turn_id) == turn_id, Message.role == "user")
    return (await session.exec(query)).first()
