"""The person's messages in given turns, for lists that show how a turn began."""

from collections.abc import Collection

from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Message
from chat_platform.values.ids import AccountId


async def questions_of(
    ctx: AppContext, account_id: AccountId, turn_ids: Collection[str]
) -> dict[str, str]:
    """Return the person's text by turn, without other accounts' turns."""
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
        # If a turn has several, the first one wins.
        return dict((await session.exec(query)).all())
