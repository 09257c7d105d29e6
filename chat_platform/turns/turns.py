"""Turns: start one, stop one, follow one, look at one. Every door calls these."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select, update
from sqlmodel import col

from chat_platform import agents, turn_lock
from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger import TurnUsage
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.errors import Invalid, NotFound, TooLarge, Unavailable
from chat_platform.ids import AccountId, TurnId
from chat_platform.models import Account, Message, ModelCall, Turn
from chat_platform.money import to_usd_text
from chat_platform.rate_limits import MESSAGES_OF_ACCOUNT
from chat_platform.turn_events import TurnEvent
from chat_platform.turns import log as turn_log
from chat_platform.turns.opening import first_event, open_turn, opened_before
from chat_platform.turns.runner import TurnToRun, run_turn

MAX_CHARACTERS = 20_000
MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True)
class TurnView:
    """A turn with all that belongs to it; the calls' costs add up to the usage."""

    turn: Turn
    messages: Sequence[Message]
    usage: TurnUsage
    steps: Sequence[TurnEvent]
    calls: Sequence[ModelCall]


async def start_turn(
    ctx: AppContext, account: Account, *, text: str, idempotency_key: str | None = None
) -> TurnId:
    """Start the agent's turn for the person's message and return at once; `follow` it.

    The same key with the same text gives the same turn, however often and however parallel.
    Raises Invalid, TooLarge, RateLimited, BudgetSpent, Unavailable `restarting` and Conflict
    (`turn_running`, `idempotency_key_reused`); then nothing was kept and nothing is charged.
    """
    turn = _new_turn(ctx, account, text, idempotency_key)
    if known := await opened_before(ctx, turn):
        return known.id
    if ctx.running_turns.draining.is_set():
        raise restarting()
    await ctx.limits.take(MESSAGES_OF_ACCOUNT, "message", account.id)
    await budgets.ensure_affordable(ctx, AccountId(account.id))
    opened = await open_turn(ctx, turn, text)
    if opened.is_new:
        to_run = TurnToRun(
            opened.id,
            account,
            text,
            [first_event(opened.id)],
            agent_id=opened.agent_id,
            has_untold=opened.has_untold,
        )
        ctx.running_turns.start(opened.id, lambda stop: run_turn(ctx, to_run, stop))
        await ctx.turn_feed.tell_of_new_turn(AccountId(account.id))
    return opened.id


async def cancel_turn(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> None:
    """Stop the turn: from now on it makes no call, and it ends within a second.

    A turn that is over stays as it is. Raises NotFound.
    """
    await turn_of(ctx, account_id, turn_id)
    mark = (
        update(Turn)
        .where(
            col(Turn.id) == turn_id,
            col(Turn.status) == "running",
            col(Turn.cancel_requested_at_ms).is_(None),
        )
        .values(cancel_requested_at_ms=now_ms())
    )
    await ctx.writer.write(lambda connection: connection.execute(mark) and None)
    ctx.running_turns.stop(turn_id)
    agent_id = await agents.agent_of(ctx, account_id)
    if agent_id:
        ctx.open_calls.abort(agent_id)
        await ctx.turn_feed.tell_to_stop(turn_id, agent_id)


async def follow(
    ctx: AppContext, account_id: AccountId, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Yield the turn's events after number `after`, those to come included, up to its end.

    The last one tells the usage as the ledger has it now, which is later than the turn's end when
    the gateway corrected a cost. Raises NotFound before the first.
    """
    await turn_of(ctx, account_id, turn_id)
    async for event in follow_started(ctx, turn_id, after=after):
        yield event


async def follow_started(
    ctx: AppContext, turn_id: TurnId, *, after: int = 0
) -> AsyncGenerator[TurnEvent, None]:
    """Do as `follow`, for a caller who has the turn from `start_turn` or `turn_of`."""
    async for event in turn_log.follow(ctx, turn_id, after=after):
        yield await _with_usage(ctx, turn_id, event) if event.is_end else event


async def turn_of(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> Turn:
    """Return the account's turn. Raises NotFound, for another account's too."""
    async with reading(ctx.engine) as session:
        turn = await session.get(Turn, turn_id)
    if turn is None or turn.account_id != account_id or turn.kind != "message":
        raise NotFound("There is no such turn.")
    return turn


async def turn_view(ctx: AppContext, account_id: AccountId, turn_id: TurnId) -> TurnView:
    turn = await turn_of(ctx, account_id, turn_id)
    messages = select(Message).where(col(Message.turn_id) == turn_id)
    async with reading(ctx.engine) as session:
        found = (await session.execute(messages.order_by(col(Message.position)))).scalars().all()
    events = await turn_log.read(ctx, turn_id)
    return TurnView(
        turn,
        found,
        await ledger.turn_usage(ctx, turn_id),
        [event for event in events if event.type == "step"],
        await ledger.calls_of_turn(ctx, turn_id),
    )


async def running_turn(ctx: AppContext, account_id: AccountId) -> TurnId | None:
    """Return the turn that runs for the account now, so that a page can join it."""
    query = select(col(Turn.id)).where(
        col(Turn.account_id) == account_id,
        col(Turn.status) == "running",
        col(Turn.kind) == "message",
    )
    async with reading(ctx.engine) as session:
        found = (await session.execute(query)).scalar_one_or_none()
    return TurnId(found) if found else None


def usage_data(usage: TurnUsage) -> dict[str, Any]:
    """Return what the public contract shows of a turn's usage."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "model_calls": usage.model_calls,
        "cost_usd": to_usd_text(usage.cost_nano_usd),
        "pending_calls": usage.pending_calls,
    }


def restarting(turn_id: TurnId | None = None) -> Unavailable:
    """Return what somebody hears who talks to a process that is going down."""
    return Unavailable(
        "The server is restarting. Try again in a few seconds.",
        code="restarting",
        retry_after_seconds=5,
        extra={"turn_id": turn_id} if turn_id else None,
    )


async def _with_usage(ctx: AppContext, turn_id: TurnId, end: TurnEvent) -> TurnEvent:
    usage = usage_data(await ledger.turn_usage(ctx, turn_id))
    return replace(end, data={**end.data, "usage": usage})


def _new_turn(ctx: AppContext, account: Account, text: str, key: str | None) -> Turn:
    _check_text(text)
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise Invalid(f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters.")
    turn = turn_lock.new_turn(ctx, AccountId(account.id), "message")
    turn.idempotency_key = key
    turn.request_hash = hashlib.sha256(text.encode()).hexdigest()
    return turn


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise TooLarge(
            f"A message has at most {MAX_CHARACTERS:,} characters; this one has {len(text):,}."
            " Send it in parts.",
            code="message_too_long",
        )
    if not text.strip():
        raise Invalid("Write something first.", code="message_empty")
    # Postgres stores no NUL; half a surrogate pair is no text in UTF-8.
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid("This text has characters that cannot be stored.", code="message_invalid")
