"""Opens a turn: its row, the person's message and the first event in one transaction, or none.

The unique indexes of `turns` decide who is first; nothing here looks before it leaps.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, exists, insert, or_, select, update
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import insert_if_absent, reading
from chat_platform.errors import Conflict
from chat_platform.history.conversations import ensure_default
from chat_platform.ids import AccountId, AgentId, TurnId
from chat_platform.models import Account, Agent, Message, Turn
from chat_platform.turn_events import TurnEvent
from chat_platform.turns.log import insert_events
from chat_platform.turns.notes import untold_turns

_ATTEMPTS = 3


@dataclass(frozen=True)
class OpenedTurn:
    """A turn that holds its account's lock, with what its run needs, read on the way.

    Not `is_new`: the same request opened it before, and it runs already.
    """

    id: TurnId
    is_new: bool
    agent_id: AgentId | None = None
    has_untold: bool = False
    """Whether there are earlier turns that the agent must be told of."""


@dataclass(frozen=True)
class _Holder:
    """The turn that keeps a new one from opening: same key, or still running."""

    id: TurnId
    kind: str
    idempotency_key: str | None
    request_hash: str | None


async def open_turn(ctx: AppContext, turn: Turn, text: str) -> OpenedTurn:
    """Store the turn and return it, or the one that the same request opened.

    Raises Conflict `idempotency_key_reused` or `turn_running`.
    """
    for _ in range(_ATTEMPTS):
        if opened := await ctx.writer.write(lambda connection: _insert(connection, turn, text)):
            return opened
        # The holder may be gone by the time we look: then the next attempt succeeds.
        if holder := await _holder(ctx, turn):
            return _same_request(turn, holder)
    raise _turn_running(None)


async def opened_before(ctx: AppContext, turn: Turn) -> OpenedTurn | None:
    """Return the turn that the same request opened. Raises Conflict as open_turn does."""
    if turn.idempotency_key is None:
        return None
    holder = await _holder(ctx, turn)
    if holder is None or holder.idempotency_key != turn.idempotency_key:
        return None
    return _same_request(turn, holder)


def first_event(turn_id: TurnId) -> TurnEvent:
    return TurnEvent(1, "turn.started", {"turn_id": turn_id})


def _insert(connection: Connection, turn: Turn, text: str) -> OpenedTurn | None:
    account_id = AccountId(turn.account_id)
    turn.conversation_id = ensure_default(connection, account_id)
    if not insert_if_absent(connection, turn):
        return None
    message = Message(
        account_id=account_id,
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        role="user",
        content=text,
    )
    connection.execute(insert(Message), message.model_dump(exclude={"position"}))
    turn_id = TurnId(turn.id)
    insert_events(connection, turn_id, [first_event(turn_id)])
    connection.execute(
        update(Account).where(col(Account.id) == account_id).values(last_active_at_ms=now_ms())
    )
    return _opened(connection, turn_id, account_id)


def _opened(connection: Connection, turn_id: TurnId, account_id: AccountId) -> OpenedTurn:
    agent = select(col(Agent.agent_id)).where(col(Agent.account_id) == account_id)
    agent_id, has_untold = connection.execute(
        select(agent.scalar_subquery(), exists().where(*untold_turns(account_id)))
    ).one()
    return OpenedTurn(turn_id, True, AgentId(agent_id) if agent_id else None, has_untold)


async def _holder(ctx: AppContext, turn: Turn) -> _Holder | None:
    # Compared as text: no key is no key in common.
    has_key = col(Turn.idempotency_key) == (turn.idempotency_key or "")
    query = (
        select(col(Turn.id), col(Turn.kind), col(Turn.idempotency_key), col(Turn.request_hash))
        .where(col(Turn.account_id) == turn.account_id, or_(has_key, col(Turn.status) == "running"))
        .order_by(case((has_key, 0), else_=1))
        .limit(1)
    )
    async with reading(ctx.engine) as session:
        row = (await session.execute(query)).one_or_none()
    return _Holder(*row) if row else None


def _same_request(turn: Turn, holder: _Holder) -> OpenedTurn:
    if turn.idempotency_key is None or holder.idempotency_key != turn.idempotency_key:
        # A memory action is nothing to follow or to stop.
        raise _turn_running(holder.id if holder.kind == "message" else None)
    if holder.request_hash != turn.request_hash:
        raise Conflict(
            "This Idempotency-Key came with another message before. Use a new key.",
            code="idempotency_key_reused",
            extra={"turn_id": holder.id},
        )
    return OpenedTurn(holder.id, is_new=False)


def _turn_running(turn_id: TurnId | None) -> Conflict:
    return Conflict(
        "Your agent is still busy. Wait for it to finish, or stop it first.",
        code="turn_running",
        extra={"turn_id": turn_id} if turn_id else None,
    )
