"""People for the load, who are signed in in a browser and by token, and what they do."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.e2e.platform import PASSWORD

NAME = "Annabel"
_TIMEOUT = httpx.Timeout(120)
_SIGNING_UP_AT_ONCE = 4


@dataclass(frozen=True)
class Somebody:
    http: httpx.AsyncClient
    cookie: str


@dataclass
class Times:
    """Of one answer, in seconds after it was asked for."""

    first: float = 0.0
    whole: float = 0.0


@dataclass
class Answers:
    """What came of many messages."""

    times: list[Times] = field(default_factory=list[Times])
    failures: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.times) / self.seconds if self.seconds else 0.0


async def sign_up(url: str, count: int) -> list[Somebody]:
    """Register people, each with an agent that has answered once."""
    room = asyncio.Semaphore(_SIGNING_UP_AT_ONCE)

    async def one(number: int) -> Somebody:
        async with room:
            return await _sign_up(url, number)

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def email_of(number: int) -> str:
    return f"load{number}@example.com"


async def _sign_up(url: str, number: int) -> Somebody:
    email = email_of(number)
    # Plain HTTP: the machine's certificates need not be read for each.
    http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, verify=False, trust_env=False)
    form = {"email": email, "password": PASSWORD, "name": NAME}
    registered = await http.post("/api/v1/session/register", data=form, headers={"Origin": url})
    assert registered.headers["location"] == "/chat", registered.headers
    cookie = "; ".join(f"{each.name}={each.value}" for each in http.cookies.jar)
    http.cookies.clear()
    signed_in = await http.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    signed_in.raise_for_status()
    http.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return Somebody(http, cookie)


async def ask(somebody: Somebody, text: str) -> Times:
    """Send a message, and follow the answer to its end."""
    began, times = time.perf_counter(), Times()
    headers = {"Accept": "text/event-stream"}
    body = {"content": text}
    async with somebody.http.stream(
        "POST", "/api/v1/chat/message", json=body, headers=headers
    ) as answer:
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {(await answer.aread())[:200]!r}")
        event = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                event = line
            if event == "event: message.delta" and not times.first:
                times.first = time.perf_counter() - began
    if event != "event: turn.completed":
        raise RuntimeError(f"it ended with {event}")
    times.whole = time.perf_counter() - began
    return times


async def all_at_once(people: Sequence[Somebody], text: str) -> Answers:
    """Let everybody ask at the same time."""
    answers, began = Answers(), time.perf_counter()
    await asyncio.gather(*(_noted(answers, somebody, text) for somebody in people))
    answers.seconds = time.perf_counter() - began
    return answers


async def in_turns(
    people: Sequence[Somebody], text: str, *, at_once: int, seconds: float
) -> Answers:
    """Keep so many messages under way, each of another person, for some time."""
    answers, began = Answers(), time.perf_counter()
    free = itertools.cycle(people[index::at_once] for index in range(at_once))

    async def lane(own: Sequence[Somebody]) -> None:
        for somebody in itertools.cycle(own):
            if time.perf_counter() - began > seconds:
                return
            await _noted(answers, somebody, text)

    await asyncio.gather(*(lane(next(free)) for _ in range(at_once)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _noted(answers: Answers, somebody: Somebody, text: str) -> None:
    try:
        answers.times.append(await ask(somebody, text))
    except (httpx.HTTPError, RuntimeError) as error:
        answers.failures.append(repr(error))
