"""Finds the message that began a turn, for the pages."""

from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import NotFound
from chat_platform.models import Message
from chat_platform.values.ids import AccountId, MessageId, TurnId


async def question_of(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> Message:
    """Return the person's message that began the turn.

    Raises NotFound, also for somebody else's turn.
    """
    query = (
        select(Message)
        .where(
            col(Message.account_id) == account_id,
            col(Message.turn_id) == turn_id,
            col(Message.role) == "user",
        )
        .order_by(col(Message.position))
    )
    async with reading(ctx.engine) as session:
        message = (await session.exec(query)).first()
    if message is None:
        raise NotFound("There is no such message.")
    return message


async def question_id_of(
    ctx: AppContext, account_id: AccountId, turn_id: TurnId
) -> MessageId | None:
    try:
        return (await question_of(ctx, account_id, turn_id)).id
    except NotFound:
        return None
