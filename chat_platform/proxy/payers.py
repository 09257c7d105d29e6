"""Who pays for an agent's calls: agent -> account -> BillingKey, cached between calls.

Every intent checks the cached values against the database, in its own transaction; a changed key,
agent or account is refused there and looked up again here.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from sqlmodel import col, select

from chat_platform.billing.account_keys import key_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Agent
from chat_platform.values.ids import AccountId, AgentId

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
        """Return who pays, None for an agent without an account. Raises Unavailable."""
        payer = self._known.get(agent_id)
        if payer:
            self._known.move_to_end(agent_id)
            return payer
        # Concurrent calls of a new agent ask the gateway only once.
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


async def has_payer(ctx: AppContext, agent_id: AgentId) -> bool:
    return await _account_of(ctx, agent_id) is not None


async def _account_of(ctx: AppContext, agent_id: AgentId) -> AccountId | None:
    query = select(col(Agent.account_id)).where(col(Agent.agent_id) == agent_id)
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).first()


async def _look_up(ctx: AppContext, agent_id: AgentId) -> Payer | None:
    account_id = await _account_of(ctx, agent_id)
    if account_id is None:
        return None
    version, key = await key_of(ctx, account_id)
    return Payer(account_id, version, key)
