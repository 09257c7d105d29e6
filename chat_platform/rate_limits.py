"""How often somebody may try. Counts in Redis where there is one, else in this process."""

import math
import time
from dataclasses import dataclass

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from chat_platform.errors import RateLimited

log = structlog.get_logger()

_REDIS_SECONDS = 1.0
ALONE_SECONDS = 5.0
"""How long Redis is left alone after it failed."""


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


@dataclass(frozen=True)
class Hit:
    """One that was counted, and where: it can be given back there."""

    rule: Rule
    key: tuple[str, ...]
    storage: Storage


class RateLimits:
    """Fixed windows: what turned out harmless can be given back.

    While Redis does not answer, each process counts for itself: guessing stays limited and nobody
    is locked out. The log tells of it.
    """

    def __init__(self, redis_url: str = "", *, alone_seconds: float = ALONE_SECONDS) -> None:
        self._own = MemoryStorage()
        self._shared = _redis(redis_url) if redis_url else None
        self._alone_seconds = alone_seconds
        self._alone_until = float("-inf")

    async def take(self, rule: Rule, *key: str) -> Hit:
        """Count one; raises RateLimited with the time to wait when that is one too many."""
        if self._shared and time.monotonic() >= self._alone_until:
            try:
                return await _take(self._shared, rule, key)
            except RedisError as exc:
                self._go_alone(exc)
        return await _take(self._own, rule, key)

    async def give_back(self, hit: Hit) -> None:
        """Take one off the count again."""
        name, expiry = hit.rule.limit.key_for(*hit.key), hit.rule.limit.get_expiry()
        try:
            await hit.storage.incr(name, expiry, -1)
        except RedisError as exc:
            # One too many stays counted until its window ends.
            self._go_alone(exc)

    def _go_alone(self, exc: RedisError) -> None:
        log.error("rate_limits.each_process_counts_alone", error=type(exc).__name__)
        self._alone_until = time.monotonic() + self._alone_seconds


async def _take(storage: Storage, rule: Rule, key: tuple[str, ...]) -> Hit:
    limiter = FixedWindowRateLimiter(storage)
    if await limiter.hit(rule.limit, *key):
        return Hit(rule, key, storage)
    window = await limiter.get_window_stats(rule.limit, *key)
    raise RateLimited(
        "That was too often. Wait a little and try again.",
        code=rule.code,
        retry_after_seconds=max(1, math.ceil(window.reset_time - time.time())),
    )


def _redis(url: str) -> Storage:
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        # A login waits for it: a Redis that hangs is as good as one that is down.
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )
