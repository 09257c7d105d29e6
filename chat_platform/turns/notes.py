"""Tells the agent about runs that the runtime dropped because they failed or were stopped."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Message, Turn
from chat_platform.values.ids import AccountId, TurnId

MAX_TURNS = 3
MAX_CHARACTERS = 500
"""Per quoted message: a reminder is enough, and the person pays for its tokens."""

_OPENING = (
    "Note from the platform, not from the person: these earlier exchanges broke off, so your own"
    " history lacks them. The person can still see them."
)


@dataclass(frozen=True)
class Note:
    """`text` is empty when there is nothing to tell; `told` lists the turns it is about."""

    text: str = ""
    told: Sequence[TurnId] = ()


async def note_for(ctx: AppContext, account_id: AccountId) -> Note:
    """Return what the account's agent should know about its last broken-off turns."""
    lost = select(Turn).where(*untold_turns(account_id)).order_by(col(Turn.created_at_ms).desc())
    async with reading(ctx.engine) as session:
        turns = (await session.exec(lost)).all()
        if not turns:
            return Note()
        shown = [turn.id for turn in turns[:MAX_TURNS]]
        of_them = select(Message).where(col(Message.turn_id).in_(shown))
        messages = (await session.exec(of_them.order_by(col(Message.position)))).all()
    lines = [_OPENING, *(_quote(message) for message in messages)]
    return Note("\n".join(lines), [turn.id for turn in turns])


def untold_turns(account_id: AccountId) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that select the account's turns unknown to its agent."""
    return (
        col(Turn.account_id) == account_id,
        ~col(Turn.is_known_to_agent),
        col(Turn.status) != "running",
    )


def _quote(message: Message) -> str:
    text = message.content
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}…"
    return f"The person wrote: {text}" if message.role == "user" else f"You began to answer: {text}"
