"""Opens a turn: stores its row, the person's message and the first event in one transaction.

The unique indexes of `turns` decide which of two requests is first; nothing is checked beforehand.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, exists, insert, or_, update
from sqlmodel import col, select

from chat_platform.agents import lock
from chat_platform.agents.lock import store_running
from chat_platform.context import AppContext
from chat_platform.conversations.conversations import ensure_default
from chat_platform.database.away import patiently
from chat_platform.database.engine import reading
from chat_platform.errors import Conflict
from chat_platform.models import Account, Agent, Message, Turn
from chat_platform.turns.event_log import insert_events
from chat_platform.turns.events import TurnEvent
from chat_platform.turns.notes import untold_turns
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId, TurnId

_ATTEMPTS = 3
_PATIENCE_SECONDS = 2.0
"""How long to retry while the person waits for the first sign of an answer."""


@dataclass(frozen=True)
class OpenedTurn:
    """A turn that holds its account's lock, with what its run needs from the database.

    If it is not `is_new`, the same request has opened it before.
    """

    id: TurnId
    is_new: bool
    agent_id: AgentId | None = None
    has_untold: bool = False
    """Whether the agent must be told about earlier turns."""
    has_loose_run: bool = False
    """Whether an earlier turn's run may still be going on."""


@dataclass(frozen=True)
class _Holder:
    """The turn that prevents a new one: it has the same key, or is still running."""

    id: TurnId
    kind: str
    idempotency_key: str | None
    request_hash: str | None


async def open_turn(ctx: AppContext, turn: Turn, text: str) -> OpenedTurn:
    """Store the turn and return it, or the one that the same request opened before.

    Raises Conflict `idempotency_key_reused` or `turn_running`.
    """
    for _ in range(_ATTEMPTS):
        # Repeated also if the commit's answer was lost: the turn is then recognised by its id.
        if opened := await patiently(
            lambda: ctx.writer.write(lambda connection: _insert(connection, turn, text)),
            seconds=_PATIENCE_SECONDS,
        ):
            return opened
        # The holder may have ended in the meantime: then the next attempt succeeds.
        if holder := await _holder(ctx, turn):
            return _same_request(turn, holder)
    raise lock.turn_running()


async def opened_before(ctx: AppContext, turn: Turn) -> OpenedTurn | None:
    """Return the turn that the same request opened before. Raises Conflict like open_turn."""
    if turn.idempotency_key is None:
        return None
    holder = await _holder(ctx, turn)
    if holder is None or holder.idempotency_key != turn.idempotency_key:
        return None
    return _same_request(turn, holder)


def first_event(turn_id: TurnId) -> TurnEvent:
    return TurnEvent(1, "turn.started", {"turn_id": turn_id})


def _insert(connection: Connection, turn: Turn, text: str) -> OpenedTurn | None:
    account_id = turn.account_id
    turn.conversation_id = ensure_default(connection, account_id)
    if not store_running(connection, turn):
        return None
    message = Message(
        account_id=account_id,
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        role="user",
        content=text,
    )
    connection.execute(insert(Message), message.model_dump(exclude={"position"}))
    turn_id = turn.id
    insert_events(connection, turn_id, [first_event(turn_id)])
    connection.execute(
        update(Account).where(col(Account.id) == account_id).values(last_active_at_ms=now_ms())
    )
    return _opened(connection, turn_id, account_id)


def _opened(connection: Connection, turn_id: TurnId, account_id: AccountId) -> OpenedTurn:
    agent = select(col(Agent.agent_id)).where(col(Agent.account_id) == account_id)
    is_loose = (col(Turn.account_id) == account_id, col(Turn.run_until_ms).is_not(None))
    agent_id, has_untold, has_loose_run = connection.execute(
        select(
            agent.scalar_subquery(),
            exists().where(*untold_turns(account_id)),
            exists().where(*is_loose),
        )
    ).one()
    known = AgentId(agent_id) if agent_id else None
    return OpenedTurn(turn_id, True, known, has_untold, has_loose_run)


async def _holder(ctx: AppContext, turn: Turn) -> _Holder | None:
    # Without a key it is compared with "", which equals no stored key.
    has_key = col(Turn.idempotency_key) == (turn.idempotency_key or "")
    query = (
        select(col(Turn.id), col(Turn.kind), col(Turn.idempotency_key), col(Turn.request_hash))
        .where(col(Turn.account_id) == turn.account_id, or_(has_key, col(Turn.status) == "running"))
        .order_by(case((has_key, 0), else_=1))
        .limit(1)
    )
    async with reading(ctx.engine) as session:
        row = (await session.exec(query)).one_or_none()
    return _Holder(*row) if row else None


def _same_request(turn: Turn, holder: _Holder) -> OpenedTurn:
    if holder.id == turn.id:
        return OpenedTurn(holder.id, is_new=True, has_untold=True, has_loose_run=True)
    if turn.idempotency_key is None or holder.idempotency_key != turn.idempotency_key:
        # A memory action cannot be followed or stopped.
        raise lock.turn_running(holder.id if holder.kind == "message" else None)
    if holder.request_hash != turn.request_hash:
        raise Conflict(
            "This message was already sent with a different text. Send it as a new message, under "
            "a new key.",
            code="idempotency_key_reused",
            extra={"turn_id": holder.id},
        )
    return OpenedTurn(holder.id, is_new=False)
