"""The audit log: who did what to whom and when. Never content, never secrets."""

from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import AuditEntry
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId

KEEP_SIGN_INS_DAYS = 180
"""How long entries about sign-ins are kept: there are many, and they reveal people's activity."""
FORGET_SECONDS = 6 * 3600.0
_OF_SIGN_INS = ("sign_in.opened", "sign_in.failed")
_DAY_MS = 24 * 3600 * 1000


def record(
    session: AsyncSession,
    *,
    actor_id: AccountId | None,
    action: str,
    subject_id: str | None = None,
    detail: dict[str, str] | None = None,
) -> None:
    """Write an entry in the same transaction as the action it records.

    `actor_id` is None if no account did it: an operator on the command line, the server itself, or
    somebody not signed in.
    """
    entry = AuditEntry(actor_id=actor_id, action=action, subject_id=subject_id, detail=detail or {})
    session.add(entry)


async def forget_old_sign_ins(ctx: AppContext) -> None:
    """Delete old entries about sign-ins; other entries stay."""
    long_ago = now_ms() - KEEP_SIGN_INS_DAYS * _DAY_MS
    old = delete(AuditEntry).where(
        col(AuditEntry.action).in_(_OF_SIGN_INS), col(AuditEntry.at_ms) < long_ago
    )
    async with transaction(ctx.engine) as session:
        await session.exec(old)


@dataclass(frozen=True)
class AuditPage:
    """Newest first; `next_before` is the cursor for the next page, None at the end."""

    entries: list[AuditEntry]
    next_before: int | None


async def page(ctx: AppContext, *, limit: int, before: int | None = None) -> AuditPage:
    query = select(AuditEntry).order_by(col(AuditEntry.position).desc()).limit(limit + 1)
    if before is not None:
        query = query.where(col(AuditEntry.position) < before)
    async with reading(ctx.engine) as session:
        found = list((await session.exec(query)).all())
    shown = found[:limit]
    return AuditPage(shown, shown[-1].position if len(found) > limit else None)
