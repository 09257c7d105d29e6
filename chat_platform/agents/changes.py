"""The rules for every change of an agent's memory: the lock, and how long a text may be.

Changes hold the TurnLock: the runtime has no compare-and-set, so nothing else may write then.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.lock import hold
from chat_platform.context import AppContext
from chat_platform.errors import Invalid
from chat_platform.models import Account
from chat_platform.values.ids import AgentId, TurnId
from chat_platform.values.texts import TOO_MANY_CHARACTERS


@asynccontextmanager
async def changing(ctx: AppContext, account: Account) -> AsyncIterator[tuple[AgentId, TurnId]]:
    """Hold the lock for a change; yield the agent and the lock's turn.

    Raises Conflict `turn_running`.
    """
    async with hold(ctx, account.id, "memory") as turn_id:
        yield await ensure_agent(ctx, account), turn_id


def ensure_fits(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise Invalid(
            TOO_MANY_CHARACTERS,
            values={"most": limit, "given": len(value)},
            code="memory_too_long",
            field=field,
        )
