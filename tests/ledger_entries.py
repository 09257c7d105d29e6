"""Short ways to write ledger entries in tests."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import (
    BudgetTerms,
    Intent,
    Opened,
    Refused,
    Settlement,
    Tokens,
)
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.database.group_commit.statements import Planner
from chat_platform.models import Account, Agent, ModelCall, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId, CallId, TurnId, new_id
from tests.waiting import eventually

CENT = 10_000_000
TERMS = BudgetTerms(limit_nano_usd=100 * CENT, period="30d", background_percent=20)


@dataclass(frozen=True)
class Payer:
    """An account with an agent, without any sign-in."""

    account_id: AccountId
    agent_id: AgentId


async def new_payer(ctx: AppContext, name: str) -> Payer:
    account = Account(email=f"{name}@example.com", auth_provider="embedded", auth_subject=name)
    agent = Agent(account_id=account.id, agent_id=AgentId(f"agent-{name}"))
    async with transaction(ctx.engine) as session:
        session.add(account)
        await session.flush()
        session.add(agent)
    return Payer(account.id, agent.agent_id)


async def start_turn(ctx: AppContext, payer: Payer, **columns: Any) -> TurnId:
    turn = Turn(account_id=payer.account_id, owner=ctx.process_id, lease_until_ms=now_ms() + 20_000)
    turn.sqlmodel_update(columns)
    async with transaction(ctx.engine) as session:
        session.add(turn)
    return turn.id


def intent(ctx: AppContext, payer: Payer, **changes: Any) -> Intent:
    fields: dict[str, Any] = {
        "call_id": CallId(new_id()),
        "account_id": payer.account_id,
        "agent_id": payer.agent_id,
        "key_version": 1,
        "kind": "chat",
        "model": "demo-chat",
        "worst_case_nano_usd": CENT,
        "owner": ctx.process_id,
        "now_ms": now_ms(),
        "terms": TERMS,
    }
    return Intent(**fields | changes)


def settlement(entry: Intent, cost_nano_usd: int, **changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "call_id": entry.call_id,
        "account_id": entry.account_id,
        "state": "settled",
        "tokens": Tokens(prompt=12, completion=5),
        "cost_nano_usd": cost_nano_usd,
        "cost_source": "header",
        "total_ms": 7,
    }
    return Settlement(**fields | changes)


async def opened(ctx: AppContext, entry: Intent) -> Opened:
    outcome = await ledger.open_call(ctx, entry)
    assert isinstance(outcome, Opened), outcome
    return outcome


async def refused(ctx: AppContext, entry: Intent) -> Refused:
    outcome = await ledger.open_call(ctx, entry)
    assert isinstance(outcome, Refused), outcome
    return outcome


async def waiting_call(ctx: AppContext, entry: Intent) -> asyncio.Task[Opened | Refused]:
    """Ask for a call that must wait for others; return once it was put off and asks again."""
    asked = 0
    commit = ctx.writer.commit

    def counted(planner: Planner[Any, Any], item: Any) -> asyncio.Future[Any]:
        nonlocal asked
        asked += item is entry
        return commit(planner, item)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctx.writer, "commit", counted)
        calling = asyncio.create_task(ledger.open_call(ctx, entry))
        await eventually(lambda: asked > 1 or calling.done())
    return calling


async def left_to_die(ctx: AppContext, entry: Intent) -> None:
    """Open the call as a process that dies and does not renew its lease."""
    await opened(ctx, entry)
    async with transaction(ctx.engine) as session:
        (await session.get_one(ModelCall, entry.call_id)).lease_until_ms = 1


async def call_row(ctx: AppContext, call_id: CallId) -> ModelCall:
    async with transaction(ctx.engine) as session:
        row = await session.get(ModelCall, call_id)
    assert row
    return row
