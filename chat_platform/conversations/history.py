"""An account's messages: in pages, and their number. Search and export are separate modules."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, exists, func
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.conversations.conversations import default_of
from chat_platform.database.engine import reading
from chat_platform.errors import Invalid
from chat_platform.models import Message
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.ids import AccountId, ConversationId, MessageId

MAX_PAGE_CHARACTERS = 1_000_000
"""A page of very long messages has fewer of them, since writing it blocks everybody else."""

_EXPORT_PAGE = 100
_AT_LEAST = 4


@dataclass(frozen=True)
class HistoryPage:
    """A page, oldest to newest. `next_before` is the cursor for older messages, if any."""

    messages: Sequence[Message]
    next_before: MessageId | None


async def history_page(
    ctx: AppContext, account_id: AccountId, *, limit: int = 50, before: MessageId | None = None
) -> HistoryPage:
    """Return the newest messages, or those just before `before`; equally fast at any depth.

    Raises Invalid `bad_cursor` if `before` is not a message of the account.
    """
    conversation_id = await default_of(ctx, account_id)
    if conversation_id is None:
        if before:
            raise bad_cursor()
        return HistoryPage([], None)
    conditions: list[ColumnElement[bool]] = []
    if before:
        conditions.append(col(Message.position) < await _position(ctx, account_id, before))
    query = page_query(conversation_id, *conditions).limit(limit + 1)
    async with reading(ctx.engine) as session:
        newest = (await session.exec(query)).all()
    page = list(reversed(fitting(newest[:limit])))
    return HistoryPage(page, page[0].id if len(newest) > len(page) else None)


async def page_around(
    ctx: AppContext, account_id: AccountId, message_id: MessageId, *, limit: int = 50
) -> HistoryPage:
    """Return a message with its neighbours. Raises Invalid `bad_cursor`."""
    older = await history_page(ctx, account_id, limit=limit // 2, before=message_id)
    position = await _position(ctx, account_id, message_id)
    onwards = col(Message.position) >= position
    newer = await _oldest(ctx, account_id, onwards, limit=limit - limit // 2)
    return HistoryPage([*older.messages, *newer], older.next_before)


async def messages_after(
    ctx: AppContext, account_id: AccountId, message_id: MessageId, *, limit: int = 50
) -> Sequence[Message]:
    """Return what follows a message, oldest first. Raises Invalid `bad_cursor`."""
    position = await _position(ctx, account_id, message_id)
    return await _oldest(ctx, account_id, col(Message.position) > position, limit=limit)


def fitting(messages: Sequence[Message]) -> Sequence[Message]:
    """Return as many of the first messages as fit into one response."""
    lengths = accumulate(len(message.content) for message in messages)
    count = sum(1 for length in lengths if length <= MAX_PAGE_CHARACTERS)
    return messages[: max(count, _AT_LEAST)]


async def goes_on(ctx: AppContext, message: Message) -> bool:
    """Tell whether the message's turn has a later message, such as its answer."""
    query = select(
        exists().where(
            col(Message.turn_id) == message.turn_id, col(Message.position) > message.position
        )
    )
    async with reading(ctx.engine) as session:
        return bool((await session.exec(query)).one())


def page_query(conversation_id: ConversationId, *conditions: ColumnElement[bool]):
    """Return the query of a conversation's messages, newest first."""
    return (
        select(Message)
        .where(col(Message.conversation_id) == conversation_id, *conditions)
        .order_by(col(Message.position).desc())
    )


async def pages_of_messages(
    ctx: AppContext, account_id: AccountId
) -> AsyncIterator[Sequence[Message]]:
    """Yield all messages in batches, oldest first."""
    conversation_id = await default_of(ctx, account_id)
    last = 0
    while conversation_id:
        query = (
            select(Message)
            .where(col(Message.conversation_id) == conversation_id, col(Message.position) > last)
            .order_by(col(Message.position))
            .limit(_EXPORT_PAGE)
        )
        async with reading(ctx.engine) as session:
            messages = (await session.exec(query)).all()
        if messages:
            yield messages
        if len(messages) < _EXPORT_PAGE:
            return
        last = messages[-1].position or 0


async def count_messages(ctx: AppContext, account_id: AccountId) -> int:
    query = select(func.count()).select_from(Message).where(col(Message.account_id) == account_id)
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one()


def message_data(message: Message) -> dict[str, Any]:
    """Return what the public contract shows of a message."""
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "turn_id": message.turn_id,
        "created_at": to_rfc3339(message.created_at_ms),
        "status": message.status,
    }


async def _oldest(
    ctx: AppContext, account_id: AccountId, condition: ColumnElement[bool], *, limit: int
) -> Sequence[Message]:
    query = (
        select(Message)
        .where(col(Message.account_id) == account_id, condition)
        .order_by(col(Message.position))
        .limit(limit)
    )
    async with reading(ctx.engine) as session:
        return fitting((await session.exec(query)).all())


async def _position(ctx: AppContext, account_id: AccountId, message_id: MessageId) -> int:
    query = select(Message.position).where(
        col(Message.id) == message_id, col(Message.account_id) == account_id
    )
    async with reading(ctx.engine) as session:
        position = (await session.exec(query)).one_or_none()
    if position is None:
        raise bad_cursor()
    return position


def bad_cursor() -> Invalid:
    return Invalid(
        "There is no such message in your history. Start again from the newest.",
        code="bad_cursor",
    )
