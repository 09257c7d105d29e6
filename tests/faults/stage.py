"""The stage of a run: its processes, people and clock, and what was observed so far."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import insert

from chat_platform.database.away import AWAY
from chat_platform.errors import PlatformError
from chat_platform.models import Account
from tests.faults.agents import Heard, Question
from tests.faults.clock import Clock
from tests.faults.facts import Facts
from tests.faults.link import Link
from tests.faults.processes import Process, World
from tests.faults.proxy_calls import ask
from tests.faults.schedule import PROCESSES, Action, Schedule

PATIENCE_SECONDS = 120

NewLink = Callable[[], Awaitable[Link]]


@dataclass
class Stage:
    schedule: Schedule
    world: World
    clock: Clock
    new_link: NewLink
    facts: Facts = field(default_factory=lambda: Facts([]))

    def __post_init__(self) -> None:
        self._random = Random(self.schedule.seed)
        self.processes: list[Process] = []
        self.doing: set[asyncio.Task[None]] = set()
        self.world.agents.ask = self._ask

    async def open(self) -> None:
        for _ in range(PROCESSES):
            await self.start_process()
        await self._register_people()

    async def close(self) -> None:
        await self.world.agents.stop()
        for process in self.processes:
            process.end()
        await asyncio.gather(
            *(p.serving for p in self.processes if not p.is_killed), return_exceptions=True
        )
        for process in self.processes:
            await process.link.close()

    @property
    def serving(self) -> list[Process]:
        return [process for process in self.processes if process.is_serving]

    def chosen(self, action: Action, after: int = 0) -> Process:
        """Return the action's process, or the one this many after it."""
        return self.serving[(action.process + after) % len(self.serving)]

    def do(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Begin it, and wait for it only when everything is to come to rest."""

        async def done() -> None:
            await work

        task = asyncio.create_task(done(), name=name)
        self.doing.add(task)

    async def ask_process(self, process: Process, work: Coroutine[Any, Any, Any]) -> Any:
        """Return the process's answer; None if it refuses, fails in an allowed way, or dies."""
        task = process.spawn(work)
        dying = asyncio.ensure_future(process.died.wait())
        await asyncio.wait(
            {task, dying}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        dying.cancel()
        if not task.done():
            task.cancel()
            return None
        try:
            return task.result()
        except (PlatformError, *AWAY) as error:
            self.facts.refused[getattr(error, "code", "") or type(error).__name__] += 1
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.facts.surprises.append(f"{type(error).__name__}: {error}")
        return None

    async def start_process(self) -> Process:
        link = await self.new_link()
        process = await Process(self.world, link, self.processes, self._has_news).started()
        self.processes.append(process)
        return process

    def _has_news(self) -> bool:
        return self._random.random() >= self.schedule.loses_news

    async def _ask(self, question: Question) -> Heard:
        return await ask(self._random.choice(self.serving), question)

    async def _register_people(self) -> None:
        ctx = self.processes[0].ctx
        for name in ("alice", "bob"):
            person = Account(
                email=f"{name}@example.com", auth_provider="embedded", auth_subject=name
            )
            row = person.model_dump()
            await ctx.writer.write(lambda c, row=row: c.execute(insert(Account), row) and None)
            self.facts.people.append(person)
