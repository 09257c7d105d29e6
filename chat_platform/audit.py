"""The audit log: who did what to whom and when. Never what somebody wrote, nor any secret."""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.models import AuditEntry


def record(
    session: AsyncSession,
    *,
    actor_id: str | None,
    action: str,
    subject_id: str | None = None,
    detail: dict[str, str] | None = None,
) -> None:
    """Write an entry that stands or falls with the transaction of what it tells about.

    `actor_id` is None for what an operator does by command.
    """
    entry = AuditEntry(actor_id=actor_id, action=action, subject_id=subject_id, detail=detail or {})
    session.add(entry)


@dataclass(frozen=True)
class AuditPage:
    """Newest first; `next_before` continues it, or is None at the end."""

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
