"""Puts turns, messages and whole histories into the database, as tests need them."""

from collections.abc import Sequence

from sqlalchemy import insert

from chat_platform.agents.lock import LEASE_SECONDS
from chat_platform.context import AppContext
from chat_platform.conversations.conversations import ensure_default
from chat_platform.models import Message, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, ConversationId


async def add_turn(
    ctx: AppContext, account_id: AccountId, *, owner: str | None = None, **fields: object
) -> Turn:
    """Store a turn; by default running, owned by this process, and with a live lease."""
    conversation_id = await conversation_of(ctx, account_id)
    turn = Turn(
        account_id=account_id,
        conversation_id=conversation_id,
        owner=owner or ctx.process_id,
        lease_until_ms=now_ms() + LEASE_SECONDS * 1000,
    )
    for name, value in fields.items():
        setattr(turn, name, value)
    await ctx.writer.write(lambda c: c.execute(insert(Turn), turn.model_dump()) and None)
    return turn


async def conversation_of(ctx: AppContext, account_id: AccountId) -> ConversationId:
    return await ctx.writer.write(lambda c: ensure_default(c, account_id))


async def add_messages(
    ctx: AppContext, account_id: AccountId, contents: Sequence[str]
) -> list[Message]:
    """Store messages of finished turns, alternating between the person and the agent."""
    turn = await add_turn(ctx, account_id, status="finished")
    assert turn.conversation_id
    messages = [
        Message(
            account_id=account_id,
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
            role="assistant" if number % 2 else "user",
            content=content,
        )
        for number, content in enumerate(contents)
    ]
    rows = [message.model_dump(exclude={"position"}) for message in messages]
    if rows:
        await ctx.writer.write(lambda c: c.execute(insert(Message), rows) and None)
    return messages
