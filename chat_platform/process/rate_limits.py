"""Rate limits. Counts in Redis if there is one, else in this process."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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
"""How long Redis is not used after a failure."""


@dataclass(frozen=True)
class Rule:
    """A limit: at most this many in a time window, for each key."""

    limit: RateLimitItem
    code: str = "too_many_attempts"
    name: str = ""
    """Its name in responses; a rule without a name is not reported."""


def rule(limit: str, code: str = "too_many_attempts", *, name: str = "") -> Rule:
    return Rule(parse(limit), code, name)


def _of_account(name: str, limit: str) -> Rule:
    return rule(limit, "too_many_requests", name=name)


# The first is what an owner may hit; the third stops many addresses guessing one password.
WRONG_PASSWORDS_FROM_ADDRESS_FOR_ACCOUNT = rule("10 per 15 minutes")
WRONG_PASSWORDS_FROM_ADDRESS = rule("100 per 15 minutes")
WRONG_PASSWORDS_FOR_ACCOUNT = rule("200 per hour")
SETUP_CODES_FROM_ADDRESS = rule("20 per hour")
RESETS_FOR_ACCOUNT = rule("5 per hour")
RESETS_FROM_ADDRESS = rule("50 per hour")
MESSAGES_FROM_ADDRESS = rule("3000 per minute", "too_many_requests")

# Limits per person; `accounts/limits.py` assigns actions to them.
MESSAGES_OF_ACCOUNT = _of_account("message", "60 per minute")
CHANGES_OF_ACCOUNT = _of_account("change", "120 per minute")
SEARCHES_OF_ACCOUNT = _of_account("search", "120 per minute")
EXPORTS_OF_ACCOUNT = _of_account("export", "30 per 10 minutes")
READS_OF_ACCOUNT = _of_account("read", "3000 per minute")


def per_hour(number: int) -> Rule:
    """Return the rule for a limit set by the operator."""
    return rule(f"{number} per hour")


@dataclass(frozen=True)
class Hit:
    """One counted attempt, and where it was counted, so that it can be given back."""

    rule: Rule
    key: tuple[str, ...]
    storage: Storage


@dataclass(frozen=True)
class Standing:
    """How much of a named rule is left, and in how many seconds it resets."""

    rule: Rule
    remaining: int
    resets_in_seconds: int


_told: ContextVar[dict[str, Standing] | None] = ContextVar("told_standings", default=None)


@contextmanager
def standings() -> Iterator[dict[str, Standing]]:
    """Collect the state of every named rule counted in this block, by name."""
    told: dict[str, Standing] = {}
    token = _told.set(told)
    try:
        yield told
    finally:
        _told.reset(token)


class RateLimits:
    """Fixed windows; harmless attempts can be given back.

    While Redis is down, each process counts for itself: guessing stays limited and nobody is locked
    out. This is logged.
    """

    def __init__(self, redis_url: str = "", *, alone_seconds: float = ALONE_SECONDS) -> None:
        self._own = MemoryStorage()
        self._shared = _redis(redis_url) if redis_url else None
        self._alone_seconds = alone_seconds
        self._alone_until = float("-inf")

    async def take(self, rule: Rule, *key: str) -> Hit:
        """Count one; raises RateLimited with the time to wait if that exceeds the limit."""
        if self._shared and time.monotonic() >= self._alone_until:
            try:
                return await _take(self._shared, rule, key)
            except RedisError as exc:
                self._go_alone(exc)
        return await _take(self._own, rule, key)

    async def give_back(self, hit: Hit) -> None:
        """Subtract one from the count."""
        name, expiry = hit.rule.limit.key_for(*hit.key), hit.rule.limit.get_expiry()
        try:
            await hit.storage.incr(name, expiry, -1)
        except RedisError as exc:
            # An attempt over the limit stays counted until its window ends.
            self._go_alone(exc)

    def _go_alone(self, exc: RedisError) -> None:
        log.error("rate_limits.each_process_counts_alone", error=type(exc).__name__)
        self._alone_until = time.monotonic() + self._alone_seconds


async def _take(storage: Storage, rule: Rule, key: tuple[str, ...]) -> Hit:
    limiter = FixedWindowRateLimiter(storage)
    is_within = await limiter.hit(rule.limit, *key)
    told = _told.get()
    if is_within and (told is None or not rule.name):
        return Hit(rule, key, storage)
    window = await limiter.get_window_stats(rule.limit, *key)
    seconds = max(1, math.ceil(window.reset_time - time.time()))
    if told is not None and rule.name:
        told[rule.name] = Standing(rule, max(0, window.remaining), seconds)
    if is_within:
        return Hit(rule, key, storage)
    raise too_many_attempts(seconds, code=rule.code)


def too_many_attempts(
    retry_after_seconds: int | None = None, *, code: str = "too_many_attempts"
) -> RateLimited:
    return RateLimited(
        "Too many attempts. Wait a little and try again.",
        code=code,
        retry_after_seconds=retry_after_seconds,
    )


def _redis(url: str) -> Storage:
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        # Logins wait for it: a hanging Redis is treated like one that is down.
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )
