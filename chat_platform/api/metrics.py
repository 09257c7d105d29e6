"""`GET /metrics` for Prometheus, with METRICS_TOKEN as its bearer token; 404 while it is unset."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CONTENT_TYPE_LATEST

from chat_platform.api.deps import Ctx
from chat_platform.billing import metrics
from chat_platform.errors import nothing_here

router = APIRouter(tags=["operations"])


@router.get("/metrics", include_in_schema=False)
async def read_metrics(ctx: Ctx, authorization: Annotated[str, Header()] = "") -> Response:
    """Requests without the token get 404."""
    token = ctx.settings.metrics_token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    is_known = hmac.compare_digest(given.strip().encode(), token.encode())
    if not token or scheme.lower() != "bearer" or not is_known:
        raise nothing_here()
    metrics.OPEN_CALLS.set(ctx.open_calls.total)
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
