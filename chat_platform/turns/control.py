"""Starts, stops, follows and reads turns. Every door calls these functions."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from structlog.contextvars import bind_contextvars

from chat_platform.agents import lock
from chat_platform.billing import budgets
from chat_platform.billing.receipts import Receipt, TurnUsage, receipt_of, usage_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import Invalid, NotFound, TooLarge, Unavailable
from chat_platform.models import Account, Message, Turn
from chat_platform.process.rate_limits import MESSAGES_OF_ACCOUNT
from chat_platform.turns import event_log
from chat_platform.turns.events import TurnEvent
from chat_platform.turns.opening import OpenedTurn, first_event, open_turn, opened_before
from chat_platform.turns.runner import TurnToRun, run_turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, TurnId
from chat_platform.values.money import to_usd_text
from chat_platform.values.texts import ensure_seen, ensure_storable

MAX_MESSAGE_CHARACTERS = 20_000
MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True)
class TurnView:
    """A turn with everything that belongs to it."""

    turn: Turn
    messages: Sequence[Message]
    steps: Sequence[TurnEvent]
    receipt: Receipt


async def start_turn(
    ctx: AppContext, account: Account, *, text: str, idempotency_key: str | None = None
) -> TurnId:
    """Start the agent's turn for the person's message and return at once; then `follow` it.

    Repeated and concurrent requests with the same key and text get the same turn. Raises
    Invalid, TooLarge, RateLimited, BudgetSpent, Unavailable `restarting` and Conflict
    (`turn_running`, `idempotency_key_reused`); nothing is stored or charged in these cases.
    """
    turn = _new_turn(ctx, account, text, idempotency_key)
    if known := await opened_before(ctx, turn):
        _name(known)
        return known.id
    if ctx.running_turns.draining.is_set():
        raise restarting()
    await ctx.limits.take(MESSAGES_OF_ACCOUNT, "message", account.id)
    await budgets.ensure_affordable(ctx, account.id)
    opened = await open_turn(ctx, turn, text)
    _name(opened)
    if opened.is_new:
        to_run = TurnToRun(
            opened.id,
            account,
            text,
            [first_event(opened.id)],
            agent_id=opened.agent_id,
            has_untold=opened.has_untold,
            has_loose_run=opened.has_loose_run,
        )
        ctx.running_turns.start(opened.id, lambda stop: run_turn(ctx, to_run, stop))
        await ctx.turn_feed.tell_of_new_turn(account.id)
    return opened.id


async def cancel_turn(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> None:
    """Stop the turn: it makes no further calls, and ends within a second.

    If the notification does not reach the turn's process, it ends when its lease is next
    renewed. A turn that is over stays as it is, and so does its successor. Raises NotFound.
    """
    await turn_of(ctx, account_id, turn_id)
    mark = (
        update(Turn)
        .where(col(Turn.id) == turn_id, col(Turn.status) == "running")
        .values(cancel_requested_at_ms=func.coalesce(Turn.cancel_requested_at_ms, now_ms()))
    )
    if await ctx.writer.write(lambda connection: connection.execute(mark).rowcount == 1):
        ctx.running_turns.stop(turn_id)
        ctx.open_calls.abort(turn_id)
        await ctx.turn_feed.tell_to_stop(turn_id)


async def follow(
    ctx: AppContext, account_id: AccountId, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Yield the turn's events after number `after`, past and future, up to its end.

    The last one contains the ledger's current usage, including corrections by the gateway since
    the turn ended. Raises NotFound before the first.
    """
    await turn_of(ctx, account_id, turn_id)
    async for event in follow_started(ctx, turn_id, after=after):
        yield event


async def follow_started(
    ctx: AppContext, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Like `follow`, for callers that have the turn from `start_turn` or `turn_of`."""
    async for event in event_log.follow(ctx, turn_id, after=after):
        yield await _with_usage(ctx, turn_id, event) if event.is_end else event


async def told_so_far(ctx: AppContext, turn_id: TurnId) -> list[TurnEvent]:
    """Return what `follow_started` has to tell already."""
    events = await event_log.read(ctx, turn_id)
    return [await _with_usage(ctx, turn_id, e) if e.is_end else e for e in events]


async def turn_of(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> Turn:
    """Return the account's turn. Raises NotFound, also for another account's turn."""
    async with reading(ctx.engine) as session:
        turn = await session.get(Turn, turn_id)
    if turn is None or turn.account_id != account_id or turn.kind != "message":
        raise no_turn()
    return turn


async def turn_view(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> TurnView:
    """Raises NotFound, also for another account's turn."""
    turn = await turn_of(ctx, account_id, turn_id)
    messages = select(Message).where(col(Message.turn_id) == turn_id)
    async with reading(ctx.engine) as session:
        found = (await session.exec(messages.order_by(col(Message.position)))).all()
    events = await event_log.read(ctx, turn_id)
    return TurnView(
        turn,
        found,
        [event for event in events if event.type == "step"],
        await receipt_of(ctx, turn_id),
    )


async def running_turn(ctx: AppContext, account_id: AccountId) -> TurnId | None:
    """Return the account's running turn, if any, so that a page can join it."""
    query = select(col(Turn.id)).where(
        col(Turn.account_id) == account_id,
        col(Turn.status) == "running",
        col(Turn.kind) == "message",
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one_or_none()


def usage_data(usage: TurnUsage) -> dict[str, Any]:
    """Return a turn's usage as the public contract shows it."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "model_calls": usage.model_calls,
        "cost_usd": to_usd_text(usage.cost_nano_usd),
        "pending_calls": usage.pending_calls,
    }


def no_turn() -> NotFound:
    return NotFound("There is no such turn.")


def restarting(turn_id: TurnId | None = None) -> Unavailable:
    """Return the error for requests to a process that is shutting down."""
    return Unavailable(
        "The server is restarting. Try again in a few seconds.",
        code="restarting",
        retry_after_seconds=5,
        extra={"turn_id": turn_id} if turn_id else None,
    )


async def _with_usage(ctx: AppContext, turn_id: TurnId, end: TurnEvent) -> TurnEvent:
    usage = usage_data(await usage_of(ctx, turn_id))
    return replace(end, data={**end.data, "usage": usage})


def _name(opened: OpenedTurn) -> None:
    """Put the turn into the lines of its request: of the one that started it, or a repeated one."""
    name = "turn_id" if opened.is_new else "repeated_turn_id"
    bind_contextvars(**{name: opened.id})


def _new_turn(ctx: AppContext, account: Account, text: str, key: str | None) -> Turn:
    _check_text(text)
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise Invalid(
            "An Idempotency-Key must have 1 to {most} characters.",
            values={"most": MAX_KEY_CHARACTERS},
        )
    turn = lock.new_turn(ctx, account.id, "message")
    turn.idempotency_key = key
    turn.request_hash = hashlib.sha256(text.encode()).hexdigest()
    return turn


def _check_text(text: str) -> None:
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise TooLarge(
            "A message can have at most {most} characters; this one has {given}. Send it in parts.",
            values={"most": MAX_MESSAGE_CHARACTERS, "given": len(text)},
            code="message_too_long",
        )
    ensure_seen(text)
    ensure_storable(text)
