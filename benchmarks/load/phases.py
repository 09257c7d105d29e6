"""What is measured on the stack, one after the other. One server and two take turns."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.load.pages import OpenPage, open_page
from benchmarks.load.parts import Used, families, memory_mb, used_by
from benchmarks.load.people import NAME, Answers, Somebody, all_at_once, in_turns, sign_up
from tests.stack.platform import StackPlatform

PEOPLE = int(os.environ.get("PEOPLE", "50"))
PAGES = int(os.environ.get("PAGES", "500"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
IDLE_SECONDS = 20.0
LONG = "[[words 100]] [[pace 20]]"
LONG_SECONDS = 2.0
"""What the model itself takes for it."""
SHORT = "Hello!"
SHORT_AT_ONCE = 8
SHORT_SECONDS = 12.0
_OPENING_AT_ONCE = 8


@dataclass
class Pages:
    """500 pages that were opened, and then only looked at."""

    opened_seconds: list[float]
    alive: int
    idle: Used
    kilobytes_each: float
    """What a page takes in a server process."""


@dataclass
class Round:
    """Messages through one or two servers."""

    servers: int
    answers: Answers
    used: Used


@dataclass
class Phases:
    pages: Pages
    at_once: list[Round] = field(default_factory=list[Round])
    short: list[Round] = field(default_factory=list[Round])


async def measure_all(stack: StackPlatform) -> Phases:
    people = await sign_up(stack.url, PEOPLE)
    _say(f"{PEOPLE} people")
    await all_at_once(people[:8], SHORT)
    await all_at_once(people, SHORT)
    phases = Phases(await _pages(stack, people))
    for number in range(ROUNDS):
        for servers in (1, 2) if number % 2 else (2, 1):
            await asyncio.to_thread(stack.serve_with, servers)
            phases.at_once.append(await _at_once(stack, people, servers))
            phases.short.append(await _short(stack, people, servers))
    return phases


async def _pages(stack: StackPlatform, people: Sequence[Somebody]) -> Pages:
    before = _servers_memory_mb(stack)
    room = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def one(number: int) -> OpenPage:
        async with room:
            cookie = people[number % len(people)].cookie
            return await open_page(stack.url, cookie=cookie, number=number, name=NAME)

    pages = await asyncio.gather(*(one(number) for number in range(PAGES)))
    grown = _servers_memory_mb(stack) - before
    with used_by(stack.data_dir) as idle:
        await asyncio.sleep(IDLE_SECONDS)
    alive = sum(page.is_open for page in pages)
    await asyncio.gather(*(page.close() for page in pages))
    _say(f"{alive} pages open")
    return Pages([page.opened_seconds for page in pages], alive, idle, grown * 1000 / PAGES)


async def _at_once(stack: StackPlatform, people: Sequence[Somebody], servers: int) -> Round:
    with used_by(stack.data_dir) as used:
        answers = await all_at_once(people, LONG)
    _say(f"{len(people)} at once, servers: {servers}: {answers.seconds:.1f} s")
    return Round(servers, answers, used)


async def _short(stack: StackPlatform, people: Sequence[Somebody], servers: int) -> Round:
    with used_by(stack.data_dir) as used:
        answers = await in_turns(people, SHORT, at_once=SHORT_AT_ONCE, seconds=SHORT_SECONDS)
    _say(f"short answers, servers: {servers}: {answers.per_second:.1f} a second")
    return Round(servers, answers, used)


def _servers_memory_mb(stack: StackPlatform) -> float:
    found = families(stack.data_dir)
    return sum(memory_mb(family) for part, family in found.items() if part.startswith("server-"))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
