"""What the person had asked in given turns, for lists that name a turn by its beginning."""

from collections.abc import Collection

from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.ids import AccountId
from chat_platform.models import Message


async def questions_of(
    ctx: AppContext, account_id: AccountId, turn_ids: Collection[str]
) -> dict[str, str]:
    """Return the person's text by turn; another account's turns are left out."""
    query = (
        select(Message.turn_id, Message.content)
        .where(
            col(Message.account_id) == account_id,
            col(Message.turn_id).in_(turn_ids),
            col(Message.role) == "user",
        )
        .order_by(col(Message.position).desc())
    )
    async with reading(ctx.engine) as session:
        # Where a turn has several, the first one stays.
        return dict((await session.exec(query)).all())
