"""Brings the ledger and the billing gateway's books together, and explains dead processes' calls.

Runs at the start and then regularly, in every process: each change applies once, whoever makes it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlmodel import col, select

from chat_platform.billing.ledger_rows import LOOK_BACK_MS, Correction, Entry, Expiry, GivenUp
from chat_platform.billing.ledger_writes import book
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.errors import PlatformError
from chat_platform.ids import AccountId, CallId, TurnId
from chat_platform.models import ModelCall
from chat_platform.ports import SpendRecord

RECONCILE_SECONDS = 30
MAX_CALLS = 10_000
"""Looked at in one go, newest first."""

_CLOCK_SKEW_MS = 60_000

log = structlog.get_logger()


@dataclass(frozen=True)
class Reconciled:
    expired: int
    corrected: int
    given_up: int


async def reconcile(ctx: AppContext) -> Reconciled:
    """Expire dead processes' calls, then take over the gateway's figures where ours are unsure."""
    expired = await _expire(ctx)
    unsure = await _unsure_calls(ctx)
    corrected = given_up = 0
    for account_id, calls in unsure.items():
        try:
            records = await ctx.billing.spend(
                account_id,
                since_ms=min(call.started_at_ms for call in calls) - _CLOCK_SKEW_MS,
                until_ms=now_ms() + _CLOCK_SKEW_MS,
            )
        except PlatformError as exc:
            log.warning("reconcile.failed", account_id=account_id, code=exc.code)
            continue
        if records is None:
            given_up += await _apply(ctx, _give_up(account_id, calls))
        else:
            corrected += await _apply(ctx, _corrections(account_id, calls, records))
    done = Reconciled(expired, corrected, given_up)
    if done != Reconciled(0, 0, 0):
        log.info("reconcile.done", expired=expired, corrected=corrected, given_up=given_up)
    return done


async def expire_calls(ctx: AppContext, turn_id: TurnId, *, owner: str) -> int:
    """Close the turn's open calls of a process that is known to be dead, before their leases end.

    A call whose lease was renewed meanwhile stays open; what its process still says counts.
    """
    query = select(ModelCall.id, ModelCall.account_id, ModelCall.lease_until_ms).where(
        col(ModelCall.turn_id) == turn_id,
        col(ModelCall.owner) == owner,
        col(ModelCall.state) == "dispatched",
    )
    async with reading(ctx.engine) as session:
        rows = list(await session.exec(query))
    return await _apply(ctx, [Expiry(CallId(c), AccountId(a), lease + 1) for c, a, lease in rows])


async def _expire(ctx: AppContext) -> int:
    now = now_ms()
    query = select(ModelCall.id, ModelCall.account_id).where(
        col(ModelCall.state) == "dispatched", col(ModelCall.lease_until_ms) < now
    )
    async with reading(ctx.engine) as session:
        rows = list(await session.exec(query.limit(MAX_CALLS)))
    return await _apply(ctx, [Expiry(CallId(c), AccountId(a), now) for c, a in rows])


async def _unsure_calls(ctx: AppContext) -> dict[AccountId, list[ModelCall]]:
    query = (
        select(ModelCall)
        .where(
            col(ModelCall.cost_source).in_(("pending", "estimated")),
            col(ModelCall.state) != "dispatched",
            col(ModelCall.started_at_ms) > now_ms() - LOOK_BACK_MS,
        )
        .order_by(col(ModelCall.started_at_ms).desc())
        .limit(MAX_CALLS)
    )
    by_account: dict[AccountId, list[ModelCall]] = {}
    async with reading(ctx.engine) as session:
        for call in await session.exec(query):
            by_account.setdefault(AccountId(call.account_id), []).append(call)
    return by_account


def _corrections(
    account_id: AccountId, calls: Sequence[ModelCall], records: Sequence[SpendRecord]
) -> list[Entry]:
    booked = {record.call_id: record for record in records}
    found = (booked.get(CallId(call.id)) for call in calls)
    return [
        Correction(
            record.call_id,
            account_id,
            cost_nano_usd=record.cost_nano_usd,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            is_success=record.is_success,
            response_id=record.response_id,
        )
        for record in found
        if record
    ]


def _give_up(account_id: AccountId, calls: Sequence[ModelCall]) -> list[Entry]:
    pending = (call for call in calls if call.cost_source == "pending")
    return [GivenUp(CallId(call.id), account_id) for call in pending]


async def _apply(ctx: AppContext, entries: Iterable[Entry]) -> int:
    """Write the entries; return how many applied."""
    outcomes = await asyncio.gather(*(ctx.writer.commit(book, entry) for entry in entries))
    return sum(outcome is True for outcome in outcomes)
