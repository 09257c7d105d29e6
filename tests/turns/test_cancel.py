"""A stop reaches only its own turn: its run and its calls, and nothing that follows.

Each process is a context on the same database; Redis messages are passed on directly.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from chat_platform.billing.open_calls import OpenCall, OpenCalls
from chat_platform.context import AppContext
from chat_platform.ports import TextPiece
from chat_platform.turns import control
from chat_platform.turns.feed import News, Topic, TurnFeed
from chat_platform.turns.redis_feed import hear
from chat_platform.turns.running import RunningTurns
from chat_platform.values.ids import AgentId, CallId, TurnId
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.seeds import seeds
from tests.turn_talk import events_of, messages_of, talk, turn_row, until


@pytest.fixture
async def processes(ctx: AppContext) -> AsyncIterator[list[AppContext]]:
    both = [
        replace(
            ctx,
            process_id=name,
            turn_feed=TurnFeed(),
            running_turns=RunningTurns(),
            open_calls=OpenCalls(),
        )
        for name in ("first", "second")
    ]
    _connect(both[0], both[1])
    _connect(both[1], both[0])
    yield both
    for process in both:
        await process.running_turns.interrupt()


def _connect(teller: AppContext, hearer: AppContext) -> None:
    async def relay(topic: Topic, what: News) -> None:
        news = json.dumps({"from": teller.process_id, "turn_id": topic, "what": what})
        hear(hearer, json.loads(news))

    teller.turn_feed.relay = relay


@dataclass
class Told:
    """A turn of the law test: what happened to it, and what must result."""

    id: TurnId
    gate: asyncio.Event
    calls: list[OpenCall] = field(default_factory=list)
    is_stopped: bool = False


class Conversation:
    """Alice and her agent, with turns started, ended and stopped in any order."""

    def __init__(self, processes: list[AppContext], alice: Person, runtime: FakeRuntime) -> None:
        self.processes = processes
        self.alice = alice
        self.runtime = runtime
        self.turns: list[Told] = []

    async def start(self, process: AppContext) -> None:
        gate = self.runtime.gate = asyncio.Event()
        self.runtime.script.append([TextPiece("whole "), TextPiece("answer")])
        turn_id = await control.start_turn(process, self.alice.account, text="Hello")
        self.turns.append(Told(turn_id, gate))
        await until(process, self.alice, turn_id, "message.delta")

    def call(self, process: AppContext) -> None:
        turn = self.turns[-1]
        task = asyncio.create_task(asyncio.sleep(60))
        agent_id = AgentId(f"agent-{self.alice.id}")
        call = OpenCall(CallId(f"call-{len(turn.calls)}"), agent_id, self.alice.id, task, turn.id)
        listing = process.open_calls.listed(call)
        listing.__enter__()
        task.add_done_callback(lambda _: listing.__exit__(None, None, None))
        turn.calls.append(call)

    async def end(self) -> None:
        turn = self.turns[-1]
        turn.gate.set()
        await events_of(self.processes[0], self.alice, turn.id)

    async def stop(self, process: AppContext, turn: Told, *, times: int) -> None:
        runs = await control.running_turn(process, self.alice.id) == turn.id
        await asyncio.gather(
            *(control.cancel_turn(process, self.alice.id, turn.id) for _ in range(times))
        )
        if runs:
            turn.is_stopped = True
            await events_of(process, self.alice, turn.id)

    async def ensure_lawful(self, turn: Told) -> None:
        """Check that the turn and its calls ended as its own events justify."""
        row = await turn_row(self.processes[0], self.alice, turn.id)
        reply = (await messages_of(self.processes[0], self.alice, turn.id))[-1]
        ended = (row.status, reply.content, reply.status)
        if turn.is_stopped:
            assert ended == ("cancelled", "whole ", "partial")
            assert all(call.abort_reason == "turn_cancelled" for call in turn.calls)
        else:
            assert ended == ("finished", "whole answer", "complete")
            assert all(call.abort_reason is None for call in turn.calls)


@pytest.mark.parametrize("seed", seeds(8, fast=2))
async def test_every_turn_ends_as_its_own_events_justify(
    processes: list[AppContext], alice: Person, runtime: FakeRuntime, seed: int
):
    chance = random.Random(seed)
    conversation = Conversation(processes, alice, runtime)
    for _ in range(4):
        await conversation.start(chance.choice(processes))
        for _ in range(chance.randrange(1, 5)):
            process, old = chance.choice(processes), chance.choice(conversation.turns)
            if chance.random() < 0.4:
                conversation.call(process)
            elif old is not conversation.turns[-1] or chance.random() < 0.3:
                await conversation.stop(process, old, times=chance.randrange(1, 3))
            if conversation.turns[-1].is_stopped:
                break
        else:
            await conversation.end()
        await conversation.stop(chance.choice(processes), conversation.turns[-1], times=1)

    for turn in conversation.turns:
        await conversation.ensure_lawful(turn)


async def test_a_late_stop_of_an_old_turn_leaves_the_new_ones_calls_alone(
    processes: list[AppContext], alice: Person, runtime: FakeRuntime
):
    conversation = Conversation(processes, alice, runtime)
    await conversation.start(processes[0])
    await conversation.end()
    await conversation.start(processes[0])
    conversation.call(processes[0])
    conversation.call(processes[1])

    for process in processes:
        await control.cancel_turn(process, alice.id, conversation.turns[0].id)

    await conversation.end()
    await conversation.ensure_lawful(conversation.turns[1])


async def test_a_stop_names_the_run_that_it_ends(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("one "), TextPiece("two")])
    turn_id = await control.start_turn(ctx, alice.account, text="Count")
    await until(ctx, alice, turn_id, "message.delta")
    runtime.open_runs["of-another-turn"] = AgentId(f"agent-{alice.id}")

    await control.cancel_turn(ctx, alice.id, turn_id)
    await events_of(ctx, alice, turn_id)

    assert list(runtime.open_runs) == ["of-another-turn"]


@dataclass
class SlowToStop(FakeRuntime):
    """A runtime that takes longer to answer a cancel than the run itself."""

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        if self.gate:
            self.gate.set()
        await asyncio.sleep(0.2)
        await super().cancel(agent_id, run_id)


async def test_a_request_to_stop_is_never_under_way_after_its_turn(ctx: AppContext, alice: Person):
    runtime = SlowToStop(gate=asyncio.Event())
    runtime.script.append([TextPiece("one "), TextPiece("two")])
    ctx = replace(ctx, runtime=runtime)
    turn_id = await control.start_turn(ctx, alice.account, text="Count")
    await until(ctx, alice, turn_id, "message.delta")

    await control.cancel_turn(ctx, alice.id, turn_id)
    await events_of(ctx, alice, turn_id)
    told = len(runtime.cancelled)
    runtime.gate = None
    await talk(ctx, alice, "Go on")

    assert told == len(runtime.cancelled) == 1
