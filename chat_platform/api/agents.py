"""The person's agent: its status, and starting over with a new one."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from chat_platform.agents import memory
from chat_platform.agents.agents import AgentCondition, AgentStatus, agent_status
from chat_platform.api.deps import Ctx, MemoryCaller, Signed
from chat_platform.api.openapi import problems
from chat_platform.values.clock import to_rfc3339

router = APIRouter(prefix="/agent", tags=["agent"])


class AgentView(BaseModel):
    agent_id: str | None
    status: AgentCondition
    model: str
    created_at: str | None
    last_active_at: str | None
    message_count: int


class Reset(BaseModel):
    """`confirm` must be `reset`: this cannot be undone."""

    confirm: Literal["reset"]


@router.get("/status")
async def read_status(ctx: Ctx, caller: Signed) -> AgentView:
    """Whether the agent exists and responds. It is created when first needed."""
    return _view(await agent_status(ctx, caller.account.id))


@router.post("/reset", responses=problems(409))
async def reset(body: Reset, ctx: Ctx, caller: MemoryCaller) -> AgentView:
    """Replace the agent with a new one that remembers nothing; the chat history stays."""
    await memory.reset_agent(ctx, caller.account)
    return _view(await agent_status(ctx, caller.account.id))


def _view(status: AgentStatus) -> AgentView:
    return AgentView(
        agent_id=status.agent_id,
        status=status.condition,
        model=status.model,
        created_at=_time(status.created_at_ms),
        last_active_at=_time(status.last_active_at_ms),
        message_count=status.message_count,
    )


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
