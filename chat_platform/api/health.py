"""Liveness, and readiness that names the part that fails."""

import asyncio

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import text

from chat_platform.api.deps import Ctx
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError

PART_SECONDS = 5
"""How long a part may take to answer. Those who ask, Prometheus too, wait about ten."""

router = APIRouter(prefix="/health", tags=["operations"])


class Live(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    status: str
    parts: dict[str, str]


@router.get("/live")
async def live() -> Live:
    """Returns 200 while the process is running."""
    return Live()


@router.get("/ready", responses={503: {"model": Ready}})
async def ready(ctx: Ctx, response: Response) -> Ready:
    """Returns 200 if everything a message needs is available, else 503 naming what is not."""
    parts = await parts_of(ctx)
    is_ready = all(word == "ok" for word in parts.values())
    response.status_code = 200 if is_ready else 503
    return Ready(status="ok" if is_ready else "failing", parts=parts)


async def parts_of(ctx: AppContext, *, seconds: float = PART_SECONDS) -> dict[str, str]:
    """Return for each part that a message needs `ok`, or what is wrong with it."""
    checks = {
        "database": _database(ctx),
        "agent_server": ctx.runtime.check(),
        "billing_gateway": ctx.billing.check(),
    }
    bounded = (asyncio.wait_for(check, seconds) for check in checks.values())
    outcomes = await asyncio.gather(*bounded, return_exceptions=True)
    return {name: _word(outcome) for name, outcome in zip(checks, outcomes, strict=True)}


async def _database(ctx: AppContext) -> None:
    async with reading(ctx.engine) as session:
        await session.execute(text("select 1"))


def _word(outcome: BaseException | None) -> str:
    if outcome is None:
        return "ok"
    return str(outcome) if isinstance(outcome, PlatformError) else "failing"
