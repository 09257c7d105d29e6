"""Stops the turns of accounts that were disabled or are being deleted, by whatever route."""

from sqlalchemy import or_
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Account, Turn
from chat_platform.turns.control import cancel_turn

LOOK_SECONDS = 0.5


async def cancel_unwelcome(ctx: AppContext) -> None:
    """Cancel this process's turns of such accounts. Ending a sign-in cancels nothing."""
    ids = ctx.running_turns.ids
    if not ids:
        return
    query = (
        select(col(Turn.id), col(Turn.account_id))
        .join(Account, col(Account.id) == col(Turn.account_id))
        .where(
            col(Turn.id).in_(ids),
            col(Turn.status) == "running",
            or_(col(Account.disabled_at_ms).is_not(None), col(Account.deleting_at_ms).is_not(None)),
        )
    )
    async with reading(ctx.engine) as session:
        found = (await session.exec(query)).all()
    for turn_id, account_id in found:
        await cancel_turn(ctx, account_id, turn_id)
