"""Liveness, and readiness that names the part that fails."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from chat_platform.api.deps import Ctx
from chat_platform.operations.peers import OK, parts_of

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
    is_ready = all(word == OK for word in parts.values())
    response.status_code = 200 if is_ready else 503
    return Ready(status="ok" if is_ready else "failing", parts=parts)
