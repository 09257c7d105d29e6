"""Waiting for what a task or a program does, instead of for some time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

import httpx

T = TypeVar("T")


async def eventually(is_so: Callable[[], object], *, seconds: float | None = 5) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def eventually_found(
    find: Callable[[], Awaitable[T | None]], *, seconds: float = 5, pause_seconds: float = 0.01
) -> T:
    """Return the first true value that `find` returns."""
    async with asyncio.timeout(seconds):
        while not (found := await find()):  # noqa: ASYNC110
            await asyncio.sleep(pause_seconds)
    return found


async def let_loop_run(rounds: int) -> None:
    """Let the event loop do what it can do at once, so many times."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def wait_for(
    found: Callable[[], T | None],
    *,
    seconds: float,
    otherwise: Callable[[], str] = lambda: "",
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """Return the first true value of `found`; `otherwise` explains why none came."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline or give_up():
            raise AssertionError(otherwise())
        time.sleep(0.05)
    return value


def answer_at(url: str, *, timeout_seconds: float = 5) -> httpx.Response | None:
    """Return what the server answers, None while it does not."""
    try:
        return _client().get(url, timeout=timeout_seconds)
    except httpx.TransportError:
        return None


def is_ok(url: str) -> bool:
    answer = answer_at(url)
    return answer is not None and answer.status_code == 200


@cache
def _client() -> httpx.Client:
    """One for all: each reads the machine's certificates, which takes as long as 50 requests."""
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
