"""The TurnLock: one running turn, or one memory action, per account at a time.

The lock is the account's running row in `turns`; a unique index makes it one. Its holder renews
the lease while it works, so that the lock of a process that died can be told from a slow one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from sqlalchemy import Update, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import Conflict
from chat_platform.ids import AccountId, TurnId
from chat_platform.models import Turn

LEASE_SECONDS = 20
RENEW_SECONDS = 5

LockKind = Literal["message", "memory"]


@asynccontextmanager
async def hold(ctx: AppContext, account_id: AccountId, kind: LockKind) -> AsyncIterator[TurnId]:
    """Hold the account's lock for a short action, with a turn row of its own.

    The row ends finished, or failed when the body raises. Raises Conflict `turn_running` when
    a turn or another action runs.
    """
    turn = new_turn(ctx, account_id, kind)
    async with transaction(ctx.engine) as session:
        await take(session, turn)
    turn_id = TurnId(turn.id)
    renewal = asyncio.create_task(_keep_renewed(ctx, turn_id))
    status = "failed"
    try:
        yield turn_id
        status = "finished"
    finally:
        renewal.cancel()
        # Shielded: a caller that goes away must not leave its account locked.
        await asyncio.shield(_release(ctx, turn_id, status))


def new_turn(ctx: AppContext, account_id: AccountId, kind: LockKind) -> Turn:
    """Return a running turn that this process owns, not stored yet."""
    return Turn(
        account_id=account_id, kind=kind, owner=ctx.process_id, lease_until_ms=lease_until_ms()
    )


async def take(session: AsyncSession, turn: Turn) -> None:
    """Store the running turn, which takes its account's lock.

    Raises Conflict `turn_running` when the lock is taken; the session stays usable.
    """
    await session.execute(_end_dead_actions().where(col(Turn.account_id) == turn.account_id))
    try:
        async with session.begin_nested():
            session.add(turn)
    except IntegrityError as exc:
        raise Conflict(
            "Your agent is still busy. Wait for it to finish, or stop it first.",
            code="turn_running",
        ) from exc


async def end_dead_actions(ctx: AppContext) -> None:
    """End memory actions whose process died. A message's turn is settled by `turns` alone."""
    dead = select(Turn.id).where(
        col(Turn.status) == "running",
        col(Turn.kind) == "memory",
        col(Turn.lease_until_ms) < now_ms(),
    )
    async with reading(ctx.engine) as session:
        is_any_dead = (await session.exec(dead)).first() is not None
    if is_any_dead:
        async with transaction(ctx.engine) as session:
            await session.execute(_end_dead_actions())


async def renew(ctx: AppContext, turn_id: TurnId) -> bool:
    """Extend the lease of a turn that this process owns; False when the turn is over."""
    return await _change(ctx, turn_id, {"lease_until_ms": lease_until_ms()})


def lease_until_ms() -> int:
    return now_ms() + LEASE_SECONDS * 1000


def _end_dead_actions() -> Update:
    now = now_ms()
    return (
        update(Turn)
        .where(
            col(Turn.status) == "running",
            col(Turn.kind) == "memory",
            col(Turn.lease_until_ms) < now,
        )
        .values(status="failed", error_code="interrupted", ended_at_ms=now)
    )


async def _keep_renewed(ctx: AppContext, turn_id: TurnId) -> None:
    is_running = True
    while is_running:
        await asyncio.sleep(RENEW_SECONDS)
        is_running = await renew(ctx, turn_id)


async def _release(ctx: AppContext, turn_id: TurnId, status: str) -> None:
    await _change(ctx, turn_id, {"status": status, "ended_at_ms": now_ms()})


async def _change(ctx: AppContext, turn_id: TurnId, values: dict[str, object]) -> bool:
    async with transaction(ctx.engine) as session:
        result = await session.execute(
            update(Turn)
            .where(
                col(Turn.id) == turn_id,
                col(Turn.status) == "running",
                col(Turn.owner) == ctx.process_id,
            )
            .values(**values)
        )
    return result.rowcount == 1  # pyright: ignore[reportAttributeAccessIssue]
