"""A light load that never stops: people who write and read, and open pages."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import WebSocketException

from benchmarks.load.pages import open_page
from benchmarks.load.people import NAME, Somebody

PAGES = 10
_PAUSE_SECONDS = 2.0
_TEXTS = (
    "Hello!",
    "[[words 60]] [[pace 30]]",
    "Remember that my bicycle is red.",
    "Please [[tools 2]]",
)


@dataclass
class Load:
    url: str
    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    """How messages and reads were answered: a status with its code, or the connection's error."""
    opened: int = 0
    """Pages, those that were lost and opened again included."""

    @asynccontextmanager
    async def going_on(self, people: Sequence[Somebody]) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._write(somebody)) for somebody in people]
        tasks += [asyncio.create_task(self._read(somebody)) for somebody in people]
        tasks += [
            asyncio.create_task(self._look(people[number % len(people)], number))
            for number in range(PAGES)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        for error in done:
            if isinstance(error, Exception):
                raise error

    async def _write(self, somebody: Somebody) -> None:
        for text in itertools.cycle(_TEXTS):
            self.messages += 1
            await self._ask(somebody, "POST", "/api/v1/chat/message", json={"content": text})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self, somebody: Somebody) -> None:
        for path in itertools.cycle(("/api/v1/chat/history", "/api/v1/user/usage", "/login")):
            await self._ask(somebody, "GET", path)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, somebody: Somebody, method: str, path: str, **body: object) -> None:
        try:
            answer = await somebody.http.request(method, path, **body)  # pyright: ignore[reportArgumentType]
        except httpx.TransportError as error:
            self.outcomes[type(error).__name__] += 1
            return
        self.outcomes[_outcome(answer)] += 1

    async def _look(self, somebody: Somebody, number: int) -> None:
        """Keep a page open, as a browser does."""
        for attempt in itertools.count():
            try:
                page = await open_page(
                    self.url, cookie=somebody.cookie, number=number + PAGES * attempt, name=NAME
                )
                self.opened += 1
                try:
                    await page.closed()
                finally:
                    await page.close()
            except (OSError, TimeoutError, WebSocketException) as error:
                self.outcomes[f"page: {type(error).__name__}"] += 1
            await asyncio.sleep(1)


def _outcome(answer: httpx.Response) -> str:
    if answer.is_success:
        return str(answer.status_code)
    try:
        return f"{answer.status_code} {answer.json()['code']}"
    except (ValueError, KeyError):
        return f"{answer.status_code} by nginx"
