"""Conversations, to which turns belong. For now everyone has only a default one."""

from sqlalchemy import Connection
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import insert_if_absent, reading
from chat_platform.models import Conversation
from chat_platform.values.ids import AccountId, ConversationId


def ensure_default(connection: Connection, account_id: AccountId) -> ConversationId:
    """Return the account's default conversation, creating it if needed."""
    query = _default_of(account_id)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        insert_if_absent(connection, Conversation(account_id=account_id))
        found = connection.execute(query).scalar_one()
    return found


async def default_of(ctx: AppContext, account_id: AccountId) -> ConversationId | None:
    """Return the account's default conversation, or None before its first message."""
    async with reading(ctx.engine) as session:
        return (await session.exec(_default_of(account_id))).one_or_none()


def _default_of(account_id: AccountId):
    return select(col(Conversation.id)).where(
        col(Conversation.account_id) == account_id, col(Conversation.is_default)
    )
