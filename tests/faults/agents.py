"""An agent server outside of the platform: its runs continue when nobody reads them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from chat_platform.errors import Unavailable, UpstreamFailed
from chat_platform.ports import RunCancelled, RunEvent, RunStarted, StepChanged, TextPiece
from chat_platform.values.ids import AgentId
from tests.fakes import FakeRuntime
from tests.faults.scripts import TRIES, RunScript


@dataclass(frozen=True)
class Heard:
    """The result of a model call through the proxy; the text is None if it failed."""

    status: int
    text: str | None


@dataclass(eq=False)
class Run:
    """One run. `happened` is what its readers get; `heard` the results of each step's attempts."""

    id: str
    agent_id: AgentId
    text: str
    script: RunScript
    happened: list[RunEvent | Exception] = field(default_factory=list)
    is_over: bool = False
    is_whole: bool = False
    was_cancelled: bool = False
    heard: list[tuple[int, Heard]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def said(self) -> str:
        return "".join(event.text for event in self.happened if isinstance(event, TextPiece))

    def tell(self, *events: RunEvent | Exception) -> None:
        self.happened.extend(events)
        self.changed.set()
        self.changed = asyncio.Event()

    def end(self) -> None:
        self.is_over = True
        self.tell()


@dataclass(frozen=True)
class Question:
    """A request to the model, one of a step's `TRIES`."""

    agent_id: AgentId
    body: dict[str, Any]
    try_: int
    patience_seconds: float


Ask = Callable[[Question], Awaitable[Heard]]


@dataclass
class Agents(FakeRuntime):
    """`ask` makes a model call through the proxy of some serving process."""

    scripts: dict[str, RunScript] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    ask: Ask | None = None
    outside: Context = field(default_factory=copy_context)
    """Belongs to no process, so what runs in it neither stops nor dies with one."""
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        await self.check()
        run = Run(f"run-{len(self.runs) + 1}", agent_id, text, self.scripts[text])
        self.runs.append(run)
        self.posted.append((agent_id, text, note))
        if run.script.ending != "whole":
            self.met[f"run_{run.script.ending}"] += 1
        work = asyncio.get_running_loop().create_task(
            self._work(run), context=self.outside.copy(), name=run.id
        )
        self._tasks[run.id] = work
        async for event in self._read(run):
            yield event

    async def resume(self, agent_id: AgentId, run_id: str) -> AsyncGenerator[RunEvent, None]:
        await self.check()
        found = [run for run in self.runs if run.id == run_id]
        if not found:
            raise Unavailable("There is no such run.")
        async for event in self._read(found[0]):
            yield event

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        await self.check()
        for run in self.runs:
            if run.agent_id == agent_id and not run.is_over and run_id in (None, run.id):
                run.was_cancelled = True
                self._tasks[run.id].cancel()
                run.end()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _read(self, run: Run) -> AsyncGenerator[RunEvent, None]:
        position = 0
        while True:
            changed = run.changed
            for event in run.happened[position:]:
                position += 1
                if isinstance(event, Exception):
                    raise event
                yield event
                if run.script.ending == "connection_lost" and isinstance(event, TextPiece):
                    raise Unavailable("The connection was lost.", code="agent_unavailable")
            if run.is_over and position == len(run.happened):
                if run.was_cancelled:
                    raise RunCancelled
                return
            if position == len(run.happened):
                await changed.wait()

    async def _work(self, run: Run) -> None:
        try:
            await self._steps(run)
        except UpstreamFailed as error:
            run.tell(error)
        finally:
            run.end()
        for number in range(run.script.background_calls):
            await self._ask(run, run.script.calls + number, 0)

    async def _steps(self, run: Run) -> None:
        if run.script.ending == "late":
            await asyncio.sleep(12)
        run.tell(RunStarted(run.id))
        for number in range(run.script.calls):
            text = await self._think(run, number)
            run.tell(StepChanged("model_call", f"step {number}", "done"))
            if run.script.ending != "says_nothing":
                run.tell(TextPiece(text))
        if run.script.ending == "hangs":
            await asyncio.Event().wait()
        if run.script.ending == "fails":
            raise UpstreamFailed("The agent broke.", code="model_failed")
        run.is_whole = True

    async def _think(self, run: Run, step: int) -> str:
        for try_ in range(TRIES):
            heard = await self._ask(run, step, try_)
            if heard.text is not None:
                return heard.text
            if heard.status in (402, 403, 404):
                break
            await asyncio.sleep(0.5 + try_ / 2)
        raise UpstreamFailed("The model gave no answer.", code="model_failed")

    async def _ask(self, run: Run, step: int, try_: int) -> Heard:
        assert self.ask
        body = _body(f"{run.text}#{step}")
        question = Question(run.agent_id, body, try_, run.script.patience_seconds)
        heard = await self.ask(question)
        run.heard.append((step, heard))
        return heard


def _body(marker: str) -> dict[str, Any]:
    return {
        "model": "demo-chat",
        "messages": [{"role": "user", "content": marker}],
        "stream": True,
        "max_tokens": 200,
    }


def text_heard(body: bytes) -> str | None:
    """Return the text of a complete answer, streamed or not; None for any other."""
    if not body.startswith((b"data:", b":")):
        try:
            choices = json.loads(body).get("choices")
        except (ValueError, AttributeError):
            return None
        return choices[0]["message"]["content"] if choices else None
    lines = [
        line.removeprefix(b"data:").strip() for line in body.split(b"\n") if line[:5] == b"data:"
    ]
    if b"[DONE]" not in lines:
        return None
    events = [json.loads(line) for line in lines if line not in (b"", b"[DONE]")]
    if any("error" in event for event in events):
        return None
    deltas = (choice["delta"] for event in events for choice in event.get("choices") or [])
    return "".join(delta.get("content") or "" for delta in deltas)
