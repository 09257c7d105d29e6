"""`GET /metrics` for Prometheus, with METRICS_TOKEN as its bearer token; 404 while it is unset."""

import asyncio
import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge

from chat_platform.api.deps import Ctx
from chat_platform.api.request_counts import METRICS_PATH
from chat_platform.billing import metrics as calls
from chat_platform.context import AppContext
from chat_platform.errors import nothing_here
from chat_platform.operations.peers import OK, parts_of
from chat_platform.process.metrics import REGISTRY, exposition
from chat_platform.turns import metrics as turns

router = APIRouter(tags=["operations"])

_UP = Gauge(
    "chat_platform_up",
    "Whether a part that messages need is available: 1 or 0",
    ["part"],
    registry=REGISTRY,
)
_WAITING_WRITES = Gauge(
    "chat_platform_waiting_writes", "Writes that wait for their transaction", registry=REGISTRY
)

_TASKS = Gauge(
    "chat_platform_tasks", "Tasks of the event loop: at rest, a steady number", registry=REGISTRY
)


@router.get(METRICS_PATH, include_in_schema=False)
async def read_metrics(ctx: Ctx, authorization: Annotated[str, Header()] = "") -> Response:
    """Requests without the token get 404."""
    token = ctx.settings.metrics_token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    is_known = hmac.compare_digest(given.strip().encode(), token.encode())
    if not token or scheme.lower() != "bearer" or not is_known:
        raise nothing_here()
    await _look(ctx)
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


async def _look(ctx: AppContext) -> None:
    """Set the gauges: what is true now."""
    calls.OPEN_CALLS.set(ctx.open_calls.total)
    calls.UNSETTLED_CALLS.set(ctx.unsettled.total)
    turns.RUNNING.set(len(ctx.running_turns.ids))
    _WAITING_WRITES.set(ctx.writer.waiting)
    _TASKS.set(len(asyncio.all_tasks()))
    for part, word in (await parts_of(ctx)).items():
        _UP.labels(part).set(word == OK)
