"""`GET /metrics` for Prometheus, with METRICS_TOKEN as its bearer token; closed while unset."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CONTENT_TYPE_LATEST

from chat_platform import metrics
from chat_platform.api.deps import Ctx
from chat_platform.errors import NotFound

router = APIRouter(tags=["operations"])


@router.get("/metrics", include_in_schema=False)
async def read_metrics(ctx: Ctx, authorization: Annotated[str, Header()] = "") -> Response:
    """Without the token there is nothing to see: others get 404."""
    token = ctx.settings.metrics_token.get_secret_value()
    given = authorization.removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise NotFound("There is nothing here.")
    metrics.OPEN_CALLS.set(ctx.open_calls.total)
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
