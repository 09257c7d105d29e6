"""Carries news of turns between processes over Redis: a log has grown, a turn is to stop.

Carries no content. News may get lost: readers also check the log on their own.
"""

# The client's commands have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_platform.context import AppContext
from chat_platform.turns.feed import News, Topic
from chat_platform.values.ids import TurnId

log = structlog.get_logger()

_CHANNEL = "chat-platform:turns"
_RECONNECT_SECONDS = 1.0
_SEND_SECONDS = 0.5


@asynccontextmanager
async def relayed_turns(ctx: AppContext) -> AsyncIterator[None]:
    """Connect this process's feed to the others', if REDIS_URL is set."""
    url = ctx.settings.redis_url.get_secret_value()
    if not url:
        yield
        return
    redis = Redis.from_url(url)
    listening = asyncio.create_task(_listen(ctx, redis))

    async def tell(topic: Topic, what: News) -> None:
        news = {"from": ctx.process_id, "turn_id": topic, "what": what}
        # A turn never waits for an unresponsive Redis: readers also check the log on their own.
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
                    hear(ctx, json.loads(item["data"]))
        except RedisError as error:
            log.warning("turn.news_lost", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)


def hear(ctx: AppContext, news: dict[str, str]) -> None:
    """Act on another process's news."""
    if news["from"] == ctx.process_id:
        return
    turn_id = TurnId(news["turn_id"])
    if news["what"] == "stop":
        ctx.running_turns.stop(turn_id)
        ctx.open_calls.abort(turn_id)
    else:
        ctx.turn_feed.wake(turn_id)
