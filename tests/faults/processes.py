"""Platform processes of one run: each has its own context, and can be stopped, continued, killed.

They share an event loop. Every task of a process takes its steps through a gate, which is closed
while the process is stopped, and forever once it is killed: none of its `finally` blocks run then.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from selectors import SelectorKey
from typing import Any, TypeVar

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.adapters.identity.passwords import PasswordHasher
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY
from chat_platform.database.engine import open_engine
from chat_platform.database.writer import GroupWriter
from chat_platform.process.background import running
from chat_platform.proxy.app import ModelProxy, create_proxy
from chat_platform.settings import Settings
from chat_platform.turns.recovery import kept_turns
from chat_platform.turns.redis_feed import hear
from chat_platform.wiring import new_context, routines
from tests.fakes import FakeMailer, FakeMemory
from tests.faults.agents import Agents
from tests.faults.clock import ClockError, clock_error
from tests.faults.gateway import Gateway
from tests.faults.link import Link

T = TypeVar("T")

_LAST_AWAITS = 100

_process: ContextVar["Process | None"] = ContextVar("process", default=None)


@dataclass(frozen=True)
class World:
    """What is outside of all processes and outlives them: the fakes at the ports, the settings."""

    settings: Settings
    agents: Agents
    memory: FakeMemory
    gateway: Gateway


@dataclass(eq=False)
class Process:
    """One process of the platform, with its own link to the shared database."""

    world: World
    link: Link
    peers: list["Process"]
    has_news: Callable[[], bool]
    """Whether the next notification from here to another process arrives."""
    clock_error: ClockError = field(default_factory=ClockError)
    proxy: ModelProxy = field(default_factory=create_proxy)
    is_killed: bool = False

    def __post_init__(self) -> None:
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._is_ending = asyncio.Event()
        self.died = asyncio.Event()
        self._ready: asyncio.Future[AppContext] = asyncio.get_running_loop().create_future()
        self._context: Context = copy_context()
        self._context.run(_process.set, self)
        self._context.run(clock_error.set, self.clock_error)
        self.serving = self.spawn(self._serve())

    async def started(self) -> "Process":
        self.ctx = await self._ready
        return self

    @property
    def is_serving(self) -> bool:
        """Whether it accepts requests: a stopped process does, and answers when it continues."""
        return not (self.is_killed or self._is_ending.is_set())

    @property
    def is_stopped(self) -> bool:
        return not self._may_go_on.is_set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it as a task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def stop(self) -> None:
        """Like SIGSTOP."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        if not self.is_killed:
            self._may_go_on.set()

    def kill(self) -> None:
        """Like SIGKILL: no more steps, and its connections are gone."""
        self.is_killed = True
        self.stop()
        self.link.cut_for_ever()
        self.died.set()

    def end(self) -> None:
        """Like SIGTERM."""
        self._is_ending.set()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            ctx = _open_context(self.world, self.link.url, stack)
            ctx.turn_feed.relay = self._tell
            # Times set in the writer's thread come from the same wrong clock.
            with suppress(*AWAY):
                await ctx.writer.write(lambda _: clock_error.set(self.clock_error) and None)
            stack.push_async_callback(ledger.flush, ctx)
            await stack.enter_async_context(running(*routines(ctx)))
            await stack.enter_async_context(kept_turns(ctx))
            await stack.enter_async_context(self.proxy.serving(ctx))
            self._ready.set_result(ctx)
            await self._is_ending.wait()

    async def _tell(self, topic: str, what: str) -> None:
        news = {"from": self.ctx.process_id, "turn_id": topic, "what": what}
        for peer in self.peers:
            if peer is not self and peer.is_serving and self.has_news():
                peer.spawn(_heard(peer, news))

    @types.coroutine
    def gated(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run the coroutine's steps, each only while the process may continue.

        Its own first step runs none: it must have begun when a task is cancelled at once.
        """
        awaited: Any = None
        while True:
            value: Any = None
            error: BaseException | None = None
            try:
                value = yield awaited
            except BaseException as raised:
                if self.is_killed and isinstance(raised, asyncio.CancelledError):
                    # The run is being closed: the gate would block this task forever.
                    _bury(work)
                    raise
                error = raised
            while self.is_stopped:
                try:
                    yield from self._may_go_on.wait().__await__()
                except asyncio.CancelledError as cancelled:
                    if self.is_killed:
                        _bury(work)
                        raise
                    error = cancelled
            try:
                awaited = work.send(value) if error is None else work.throw(error)
            except StopIteration as end:
                return end.value


def gate_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Make every task of a process pass its gate."""

    def make_task(
        loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        process = (context or copy_context()).get(_process)
        if process is not None:
            work = process.gated(work)
            next(work)
        return asyncio.Task(work, loop=loop, context=context)

    loop.set_task_factory(make_task)


def is_frozen(key: SelectorKey) -> bool:
    """Tell whether the handles that wait for this file belong to a stopped process."""
    waiting = [handle for handle in key.data or () if handle is not None]
    # Handles have a public `get_context` only from Python 3.12 on.
    processes = [handle._context.get(_process) for handle in waiting]
    return any(process is not None and process.is_stopped for process in processes)


async def _heard(peer: Process, news: dict[str, str]) -> None:
    hear(peer.ctx, news)


class _Buried(BaseException):
    """Ends a coroutine of a process that was killed."""


def _bury(work: Coroutine[Any, Any, object]) -> None:
    # The run is over and no longer observed: what it still tries finds no database.
    with suppress(BaseException):
        for _ in range(_LAST_AWAITS):
            # Not close(): it would leave a `finally` that awaits unfinished.
            work.throw(_Buried())


def _open_context(world: World, url: str, stack: AsyncExitStack) -> AppContext:
    engine = open_engine(url, connections=6)
    stack.push_async_callback(engine.dispose)
    writer = GroupWriter(url)
    stack.push_async_callback(writer.close)
    hasher = PasswordHasher(memory_kib=64, rounds=1)
    return new_context(
        world.settings,
        engine,
        writer,
        runtime=world.agents,
        memory=world.memory,
        billing=world.gateway,
        identity=LocalIdentity(engine, hasher, FakeMailer()),
    )
