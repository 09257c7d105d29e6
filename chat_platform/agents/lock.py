"""The TurnLock: one running turn, or one memory action, per account at a time.

The lock is the account's running row in `turns`; a unique index allows only one. Its holder renews
the lease while it works, so that the lock of a dead process can be told from that of a slow one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Update, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.context import AppContext
from chat_platform.database.clock import database_now_ms
from chat_platform.database.engine import insert_if_absent, reading, transaction
from chat_platform.errors import Conflict
from chat_platform.models import Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, TurnId

LEASE_SECONDS = 20
RENEW_SECONDS = 5

LockKind = Literal["message", "memory"]


@asynccontextmanager
async def hold(ctx: AppContext, account_id: AccountId, kind: LockKind) -> AsyncIterator[TurnId]:
    """Hold the account's lock for a short action, with its own turn row.

    The row ends as finished, or as failed if the body raises. Raises Conflict `turn_running` if a
    turn or another action is running.
    """
    turn = new_turn(ctx, account_id, kind)
    turn_id = turn.id
    taking = asyncio.create_task(_take_alone(ctx, turn))
    try:
        await asyncio.shield(taking)
    except asyncio.CancelledError:
        await asyncio.shield(_give_back(ctx, turn_id, taking))
        raise
    renewal = asyncio.create_task(_keep_renewed(ctx, turn_id))
    status = "failed"
    try:
        yield turn_id
        status = "finished"
    finally:
        renewal.cancel()
        # Shielded: a cancelled caller must not leave its account locked.
        await asyncio.shield(_release(ctx, turn_id, status))


async def _take_alone(ctx: AppContext, turn: Turn) -> None:
    async with transaction(ctx.engine) as session:
        await take(session, turn)


async def _give_back(ctx: AppContext, turn_id: TurnId, taking: asyncio.Task[None]) -> None:
    """Leave no lock behind if the caller was cancelled while it was taken."""
    await asyncio.wait({taking})
    if taking.exception() is None:
        await _release(ctx, turn_id, "failed")


def new_turn(ctx: AppContext, account_id: AccountId, kind: LockKind) -> Turn:
    """Return a running turn that this process owns. Its lease begins when it is stored."""
    return Turn(account_id=account_id, kind=kind, owner=ctx.process_id, lease_until_ms=0)


async def take(session: AsyncSession, turn: Turn) -> None:
    """Store the running turn, which takes its account's lock.

    Raises Conflict `turn_running` if the lock is taken; the session stays usable.
    """
    await session.exec(_end_dead_actions().where(col(Turn.account_id) == turn.account_id))
    connection = await session.connection()
    if not await connection.run_sync(store_running, turn):
        raise turn_running()


def turn_running(turn_id: TurnId | None = None) -> Conflict:
    return Conflict(
        "Your agent is still busy. Wait for it to finish, or stop it first.",
        code="turn_running",
        extra={"turn_id": turn_id} if turn_id else None,
    )


def store_running(connection: Connection, turn: Turn) -> bool:
    """Store the running turn; False when another has its account's lock, or its key."""
    return insert_if_absent(connection, turn, lease_until_ms=lease_until_ms())


async def end_dead_actions(ctx: AppContext) -> None:
    """End memory actions whose process died. Turns of messages are settled only by `turns`."""
    dead = select(Turn.id).where(
        col(Turn.status) == "running",
        col(Turn.kind) == "memory",
        col(Turn.lease_until_ms) < database_now_ms(),
    )
    async with reading(ctx.engine) as session:
        is_any_dead = (await session.exec(dead)).first() is not None
    if is_any_dead:
        async with transaction(ctx.engine) as session:
            await session.exec(_end_dead_actions())


async def renew(ctx: AppContext, turn_id: TurnId) -> bool:
    """Extend the lease of a turn that this process owns; False if the turn has ended."""
    return await _change(ctx, turn_id, {"lease_until_ms": lease_until_ms()})


def lease_until_ms() -> ColumnElement[int]:
    """Return when a lease written now runs out, by the database's clock."""
    return database_now_ms() + LEASE_SECONDS * 1000


def _end_dead_actions() -> Update:
    return (
        update(Turn)
        .where(
            col(Turn.status) == "running",
            col(Turn.kind) == "memory",
            col(Turn.lease_until_ms) < database_now_ms(),
        )
        .values(status="failed", error_code="interrupted", ended_at_ms=now_ms())
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
        changed = await session.exec(
            update(Turn)
            .where(
                col(Turn.id) == turn_id,
                col(Turn.status) == "running",
                col(Turn.owner) == ctx.process_id,
            )
            .values(**values)
        )
    return changed.rowcount == 1
