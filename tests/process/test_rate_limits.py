"""Limits that several processes share through Redis, and what happens while it is away."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE

import pytest
from structlog.testing import capture_logs

from chat_platform.errors import RateLimited
from chat_platform.process.rate_limits import RateLimits, rule
from chat_platform.values.ids import new_id
from tests.redis_server import RedisServer
from tests.waiting import eventually

TEN = rule("10 per 15 minutes")
ANOTHER_PROCESS = """
import asyncio, sys
from chat_platform.errors import RateLimited
from chat_platform.process.rate_limits import RateLimits, rule

async def main():
    limits, taken = RateLimits(sys.argv[1]), 0
    for _ in range(10):
        try:
            await limits.take(rule("10 per 15 minutes"), sys.argv[2])
            taken += 1
        except RateLimited:
            pass
    print(taken)

asyncio.run(main())
"""


@pytest.fixture
def key() -> str:
    return new_id()


async def takes(limits: RateLimits, key: str, times: int) -> int:
    """Try this often; return how many attempts were allowed."""
    taken = 0
    for _ in range(times):
        try:
            await limits.take(TEN, key)
        except RateLimited:
            continue
        taken += 1
    return taken


async def test_processes_share_one_limit(redis_url: str, key: str):
    command = [sys.executable, "-c", ANOTHER_PROCESS, redis_url, key]
    others = [await asyncio.create_subprocess_exec(*command, stdout=PIPE) for _ in range(2)]

    here = await takes(RateLimits(redis_url), key, 10)

    elsewhere = [int((await other.communicate())[0]) for other in others]
    assert here + sum(elsewhere) == 10


async def test_what_is_given_back_in_one_process_is_free_in_another(redis_url: str, key: str):
    one, another = RateLimits(redis_url), RateLimits(redis_url)
    hits = [await one.take(TEN, key) for _ in range(10)]

    await one.give_back(hits[0])

    assert await takes(another, key, 5) == 1


async def test_without_redis_guessing_stays_limited_and_nobody_is_locked_out(
    own_redis: RedisServer, key: str
):
    limits = RateLimits(own_redis.url)
    own_redis.stop()

    with capture_logs() as logs:
        assert await takes(limits, key, 30) == 10
        assert await takes(limits, new_id(), 1) == 1

    assert {entry["log_level"] for entry in logs} == {"error"}
    assert logs[0]["event"] == "rate_limits.each_process_counts_alone"


async def test_when_redis_is_back_the_limit_is_shared_again(own_redis: RedisServer, key: str):
    one, another = (RateLimits(own_redis.url, alone_seconds=0) for _ in range(2))
    own_redis.stop()
    await takes(one, key, 3)

    own_redis.start()

    assert await takes(one, key, 6) == 6
    assert await takes(another, key, 10) == 4


async def test_a_hanging_redis_delays_one_attempt_and_not_all(own_redis: RedisServer, key: str):
    limits = RateLimits(own_redis.url)
    await limits.take(TEN, key)
    own_redis.signal(signal.SIGSTOP)

    started = time.monotonic()
    first = await takes(limits, key, 1)
    after_first = time.monotonic()
    more = await asyncio.wait_for(takes(limits, key, 5), 0.9)

    own_redis.signal(signal.SIGCONT)
    assert (first, more) == (1, 5)
    assert after_first - started < 3


async def test_giving_back_what_redis_counted_never_fails(own_redis: RedisServer, key: str):
    limits = RateLimits(own_redis.url)
    hit = await limits.take(TEN, key)
    own_redis.stop()

    await limits.give_back(hit)

    assert await takes(limits, key, 20) == 10


async def test_counts_whose_time_is_over_are_forgotten_at_the_next_try(
    key: str, monkeypatch: pytest.MonkeyPatch
):
    limits = RateLimits()
    for number in range(50):
        await limits.take(rule("1 per minute"), f"{key} {number}")
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)

    await limits.take(TEN, key)
    # The storage cleans up in its own task.
    await eventually(lambda: len(limits._own.storage) == len(limits._own.expirations) == 1)
