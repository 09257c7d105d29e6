"""Conversations: what a turn belongs to. Everyone has a default one; there is no other door yet."""

from sqlalchemy import Connection, select
from sqlmodel import col

from chat_platform.context import AppContext
from chat_platform.db import insert_if_absent, reading
from chat_platform.ids import AccountId, ConversationId
from chat_platform.models import Conversation


def ensure_default(connection: Connection, account_id: AccountId) -> ConversationId:
    """Return the account's default conversation, made when it is not there yet."""
    query = _default_of(account_id)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        insert_if_absent(connection, Conversation(account_id=account_id))
        found = connection.execute(query).scalar_one()
    return ConversationId(found)


async def default_of(ctx: AppContext, account_id: AccountId) -> ConversationId | None:
    """Return the account's default conversation, or None before its first message."""
    async with reading(ctx.engine) as session:
        found = (await session.execute(_default_of(account_id))).scalar_one_or_none()
    return ConversationId(found) if found else None


def _default_of(account_id: AccountId):
    return select(col(Conversation.id)).where(
        col(Conversation.account_id) == account_id, col(Conversation.is_default)
    )
