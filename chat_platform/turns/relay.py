"""Carries turns' news between processes over Redis: which log has grown, which turn is to stop.

Carries no content. News may get lost: readers look into the log again by themselves.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_platform.context import AppContext
from chat_platform.ids import AgentId, TurnId
from chat_platform.turn_feed import Topic

log = structlog.get_logger()

_CHANNEL = "chat-platform:turns"
_RECONNECT_SECONDS = 1.0
_SEND_SECONDS = 0.5


@asynccontextmanager
async def relayed_turns(ctx: AppContext) -> AsyncIterator[None]:
    """Connect this process's feed with the others', where REDIS_URL is set."""
    url = ctx.settings.redis_url.get_secret_value()
    if not url:
        yield
        return
    redis = Redis.from_url(url)
    listening = asyncio.create_task(_listen(ctx, redis))

    async def tell(topic: Topic, stop_agent: AgentId | None) -> None:
        news = {"from": ctx.process_id, "turn_id": topic, "stop_agent": stop_agent}
        # A turn never waits for a Redis that does not answer: readers look again by themselves.
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await redis.publish(_CHANNEL, json.dumps(news))
        except (RedisError, TimeoutError) as error:
            log.debug("turn.news_not_sent", topic=topic, error=type(error).__name__)

    ctx.turn_feed.relay = tell
    try:
        yield
    finally:
        ctx.turn_feed.relay = None
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await redis.aclose()


async def _listen(ctx: AppContext, redis: Redis) -> None:
    while True:
        try:
            async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(_CHANNEL)
                async for item in pubsub.listen():
                    _hear(ctx, json.loads(item["data"]))
        except RedisError as error:
            log.warning("turn.news_lost", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)


def _hear(ctx: AppContext, news: dict[str, str | None]) -> None:
    if news["from"] == ctx.process_id:
        return
    turn_id = TurnId(news["turn_id"] or "")
    if news["stop_agent"]:
        ctx.running_turns.stop(turn_id)
        ctx.open_calls.abort(AgentId(news["stop_agent"]))
    else:
        ctx.turn_feed.wake(turn_id)
