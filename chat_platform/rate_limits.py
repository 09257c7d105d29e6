"""How often somebody may try. Counts in Redis where there is one, else in this process."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from chat_platform.errors import RateLimited, Unavailable


@dataclass(frozen=True)
class Rule:
    """At most so many of something in a time, for each key."""

    limit: RateLimitItem
    code: str = "too_many_attempts"


def rule(limit: str, code: str = "too_many_attempts") -> Rule:
    return Rule(parse(limit), code)


# The first is what an owner meets; the third stops a crowd of addresses that guess one password.
WRONG_PASSWORDS_FROM_ADDRESS_FOR_ACCOUNT = rule("10 per 15 minutes")
WRONG_PASSWORDS_FROM_ADDRESS = rule("100 per 15 minutes")
WRONG_PASSWORDS_FOR_ACCOUNT = rule("200 per hour")
REGISTRATIONS_FROM_ADDRESS = rule("200 per hour")
RESETS_FOR_ACCOUNT = rule("5 per hour")
RESETS_FROM_ADDRESS = rule("50 per hour")
MESSAGES_OF_ACCOUNT = rule("60 per minute", "too_many_requests")
MESSAGES_FROM_ADDRESS = rule("3000 per minute", "too_many_requests")


class RateLimits:
    """Fixed windows: what turned out harmless can be given back."""

    def __init__(self, redis_url: str = "") -> None:
        if redis_url:
            self._storage = RedisStorage(f"async+{redis_url}", implementation="redispy")
        else:
            self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)

    async def take(self, rule: Rule, *key: str) -> None:
        """Count one; raises RateLimited with the time to wait when that is one too many."""
        try:
            if await self._limiter.hit(rule.limit, *key):
                return
            window = await self._limiter.get_window_stats(rule.limit, *key)
        except RedisError as exc:
            raise _down() from exc
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        raise RateLimited(
            "That was too often. Wait a little and try again.",
            code=rule.code,
            retry_after_seconds=seconds,
        )

    async def give_back(self, rule: Rule, *key: str) -> None:
        """Take one off the count again."""
        try:
            await self._storage.incr(rule.limit.key_for(*key), rule.limit.get_expiry(), -1)
        except RedisError as exc:
            raise _down() from exc


def _down() -> Unavailable:
    return Unavailable("A part of the platform is not answering. Try again in a moment.")
