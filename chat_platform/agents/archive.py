"""The archive of an agent's memory: passages that the agent looks up by meaning."""

from dataclasses import dataclass

from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.changes import changing, ensure_fits
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.models import Account
from chat_platform.ports import Passage
from chat_platform.values.texts import ensure_seen

MAX_PASSAGE_CHARACTERS = 8_000
MAX_PASSAGES = 200


@dataclass(frozen=True)
class PassagePage:
    passages: list[Passage]
    has_more: bool
    next_before: str | None


async def list_passages(
    ctx: AppContext,
    account: Account,
    *,
    query: str = "",
    limit: int = 50,
    before: str | None = None,
) -> PassagePage:
    """Return a page of the archive, newest first; with a query, closest in meaning first.

    A query is embedded and charged: raises BudgetSpent.
    """
    agent_id = await ensure_agent(ctx, account)
    if query:
        await budgets.ensure_affordable(ctx, account.id)
        found = await ctx.memory.passages(agent_id, query=query, limit=limit)
        return PassagePage(found, has_more=False, next_before=None)
    found = await ctx.memory.passages(agent_id, limit=limit + 1, before=before)
    page, has_more = found[:limit], len(found) > limit
    return PassagePage(page, has_more, page[-1].id if has_more else None)


async def add_passage(ctx: AppContext, account: Account, text: str) -> Passage:
    """Raises Invalid `memory_too_long`, `message_empty`, BudgetSpent, Conflict `turn_running`."""
    ensure_fits("text", text, MAX_PASSAGE_CHARACTERS)
    ensure_seen(text, field="text")
    await budgets.ensure_affordable(ctx, account.id)
    async with changing(ctx, account) as (agent_id, _):
        return await ctx.memory.add_passage(agent_id, text)


async def delete_passage(ctx: AppContext, account: Account, passage_id: str) -> None:
    """Raises NotFound, also for a passage of another agent."""
    async with changing(ctx, account) as (agent_id, _):
        await ctx.memory.delete_passage(agent_id, passage_id)
