"""Who pays for an agent's calls: agent -> account -> BillingKey, remembered between calls.

What is remembered is checked by every intent against the database, in its own transaction; a
changed key, agent or account is refused there and looked up again here.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from sqlmodel import col, select

from chat_platform.billing.billing_accounts import key_of
from chat_platform.context import AppContext
from chat_platform.db import reading
from chat_platform.ids import AccountId, AgentId
from chat_platform.models import Agent

MAX_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Payer:
    account_id: AccountId
    key_version: int
    billing_key: str

    def __repr__(self) -> str:
        return f"Payer({self.account_id})"


class Payers:
    """The payers of one process, least recently used first."""

    def __init__(self) -> None:
        self._known: OrderedDict[AgentId, Payer] = OrderedDict()
        self._asking: dict[AgentId, asyncio.Task[Payer | None]] = {}

    async def of_agent(self, ctx: AppContext, agent_id: AgentId) -> Payer | None:
        """Return who pays, None for an agent that nobody has. Raises Unavailable."""
        payer = self._known.get(agent_id)
        if payer:
            self._known.move_to_end(agent_id)
            return payer
        # Many calls of a new agent at once ask the gateway once.
        if agent_id not in self._asking:
            self._asking[agent_id] = asyncio.create_task(self._ask(ctx, agent_id))
        return await asyncio.shield(self._asking[agent_id])

    def forget(self, agent_id: AgentId) -> None:
        self._known.pop(agent_id, None)

    async def _ask(self, ctx: AppContext, agent_id: AgentId) -> Payer | None:
        try:
            payer = await _look_up(ctx, agent_id)
        finally:
            del self._asking[agent_id]
        if payer:
            self._known[agent_id] = payer
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return payer


async def _look_up(ctx: AppContext, agent_id: AgentId) -> Payer | None:
    query = select(Agent.account_id).where(col(Agent.agent_id) == agent_id)
    async with reading(ctx.engine) as session:
        account_id = (await session.exec(query)).first()
    if account_id is None:
        return None
    version, key = await key_of(ctx, AccountId(account_id))
    return Payer(AccountId(account_id), version, key)
