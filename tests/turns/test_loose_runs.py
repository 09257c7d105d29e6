"""No run outlives its turn: it is stopped, or its calls are refused until it can be."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlmodel import select

from chat_platform.agents import lock as turn_lock
from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import Opened
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.database.group_commit.waiting import OUTAGES
from chat_platform.errors import PlatformError, Unavailable
from chat_platform.models import ModelCall
from chat_platform.ports import RunEvent, RunStarted, TextPiece
from chat_platform.turns import control
from chat_platform.turns.agent_run import STOP_SECONDS
from chat_platform.turns.loose_runs import stop_loose_runs
from chat_platform.turns.recovery import drain, recover_turns
from chat_platform.turns.running import RunningTurns
from chat_platform.values.ids import AgentId, TurnId
from tests.fakes import FakeRuntime
from tests.ledger_entries import CENT, Payer, intent, opened, refused, settlement
from tests.people import Person
from tests.turn_rows import add_turn
from tests.turn_talk import events_of, talk, turn_row, until


@dataclass
class BadLine(FakeRuntime):
    """A runtime that continues a run although its reader lost it, and may ignore a stop."""

    error: PlatformError | None = None
    is_deaf: bool = False
    stop_seconds: float = 0
    is_opening: asyncio.Event | None = None
    may_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        if self.is_opening:
            self.is_opening.set()
            await self.may_open.wait()
        if self.error is None:
            async for event in super().run(agent_id, text, note=note):
                yield event
            return
        self.posted.append((agent_id, text, note))
        run_id = f"run-{len(self.posted)}"
        self.open_runs[run_id] = agent_id
        yield RunStarted(run_id)
        yield TextPiece("One. ")
        raise self.error

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        if self.is_deaf:
            raise Unavailable("Your agent is not responding.", code="agent_unavailable")
        await asyncio.sleep(self.stop_seconds)
        await super().cancel(agent_id, run_id)


@pytest.fixture
def runtime() -> BadLine:
    return BadLine()


def payer(alice: Person) -> Payer:
    return Payer(alice.id, AgentId(f"agent-{alice.id}"))


async def lose_run(ctx: AppContext, alice: Person, runtime: BadLine) -> TurnId:
    """Make a turn fail whose run cannot be stopped."""
    runtime.error, runtime.is_deaf = Unavailable("The line is bad."), True
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await events_of(ctx, alice, turn_id)
    runtime.error = None
    return turn_id


async def test_a_run_that_its_turn_lost_is_stopped(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    runtime.error = Unavailable("The line is bad.")

    events = await talk(ctx, alice)

    assert events[-1].type == "turn.failed"
    assert runtime.open_runs == {}


async def test_a_run_that_ended_by_itself_is_told_nothing(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await talk(ctx, alice)

    assert runtime.cancelled == []


async def test_a_server_that_goes_down_stops_the_runs_of_its_turns(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("One. "), TextPiece("Two. ")])
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await until(ctx, alice, turn_id, "message.delta")

    await drain(ctx, grace_seconds=0)

    assert runtime.open_runs == {}


async def test_a_process_that_lost_its_turn_stops_the_turns_run(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("One. "), TextPiece("Two. "), TextPiece("Three. ")])
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await until(ctx, alice, turn_id, "message.delta")
    runtime.open_runs["still-going"] = AgentId("somebody else's")
    other = replace(ctx, process_id="other", running_turns=RunningTurns())
    row = await turn_row(ctx, alice, turn_id)
    runtime.is_deaf = True
    await ctx.writer.write(lambda c: c.exec_driver_sql("update turns set lease_until_ms = 0"))
    await recover_turns(other)
    await other.running_turns.wait(5)

    runtime.is_deaf = False
    runtime.gate.set()
    await ctx.running_turns.wait(5)

    assert row.runtime_run_id not in runtime.open_runs
    assert list(runtime.open_runs) == ["still-going"]


@pytest.mark.parametrize("kind", ["chat", "embedding"])
async def test_a_run_that_cannot_be_stopped_makes_no_call_after_its_turn(
    ctx: AppContext, alice: Person, runtime: BadLine, kind: str
):
    await lose_run(ctx, alice, runtime)

    refusal = await refused(ctx, intent(ctx, payer(alice), kind=kind))

    assert refusal.reason == "turn_over"


async def test_a_run_that_cannot_be_stopped_makes_no_call_in_a_memory_action(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)

    async with turn_lock.hold(ctx, alice.id, "memory") as turn_id:
        refusal = await refused(ctx, intent(ctx, payer(alice)))
        embedding = await opened(ctx, intent(ctx, payer(alice), kind="embedding"))

    assert refusal.reason == "turn_over"
    assert embedding.turn_id == turn_id


async def test_bobs_agent_calls_whatever_alices_run_does(
    ctx: AppContext, alice: Person, bob: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)
    await talk(ctx, bob)

    assert (await opened(ctx, intent(ctx, payer(bob)))).turn_id is None


async def test_a_lost_run_is_stopped_once_the_runtime_answers_and_background_work_goes_on(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)
    await stop_loose_runs(ctx)
    assert runtime.open_runs

    runtime.is_deaf = False
    await stop_loose_runs(ctx)

    assert runtime.open_runs == {}
    assert (await opened(ctx, intent(ctx, payer(alice)))).turn_id is None


async def test_the_next_turn_ends_the_lost_run_before_it_posts(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)
    runtime.is_deaf = False

    events = await talk(ctx, alice, "Are you there?")

    assert events[-1].type == "turn.completed"
    assert runtime.open_runs == {}
    assert (await opened(ctx, intent(ctx, payer(alice)))).turn_id is None


async def test_the_next_turn_waits_for_a_runtime_that_has_just_been_restarted(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)
    runtime.is_deaf, runtime.stop_seconds = False, STOP_SECONDS + 0.2

    events = await talk(ctx, alice, "Are you there?")

    assert events[-1].type == "turn.completed"
    assert runtime.open_runs == {}


async def test_no_turn_posts_beside_a_run_that_cannot_be_stopped(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await lose_run(ctx, alice, runtime)

    events = await talk(ctx, alice, "Are you there?")

    assert events[-1].data["code"] == "agent_unavailable"
    assert [text for _, text, _ in runtime.posted] == ["Hello"]


async def test_a_dead_processs_run_that_cannot_be_stopped_makes_no_call(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    await talk(ctx, alice)
    turn = await add_turn(ctx, alice.id, owner="dead", lease_until_ms=0, runtime_run_id="run-9")
    runtime.is_deaf = True

    await recover_turns(ctx)
    await events_of(ctx, alice, turn.id)

    assert (await refused(ctx, intent(ctx, payer(alice)))).reason == "turn_over"


@dataclass
class Endless(FakeRuntime):
    """A runtime whose run continues until stopped; the gate releases its second word."""

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        self.open_runs["endless"] = agent_id
        yield RunStarted("endless")
        yield TextPiece("One. ")
        assert self.gate
        await self.gate.wait()
        yield TextPiece("Two. ")
        await self._wait("endless", asyncio.Event())


async def _keep_calling(
    ctx: AppContext, runtime: FakeRuntime, payer: Payer, has_called: asyncio.Event
) -> None:
    """Call the model as long as the run continues, whatever the proxy answers."""
    while runtime.open_runs:
        call = intent(ctx, payer)
        with suppress(*OUTAGES):
            if isinstance(await ledger.open_call(ctx, call), Opened):
                await ledger.settle_call(ctx, settlement(call, CENT))
                has_called.set()
        await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_turn_that_fails_of_a_locked_database_leaves_no_call_outside_its_receipt(
    ctx: AppContext, alice: Person, tmp_path: Path, database_kind: str
):
    if database_kind != "sqlite":
        pytest.skip("Postgres is not locked as a whole")
    runtime = Endless(gate=asyncio.Event())
    ctx = replace(ctx, runtime=runtime)
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await until(ctx, alice, turn_id, "message.delta")
    has_called = asyncio.Event()
    calling = asyncio.create_task(_keep_calling(ctx, runtime, payer(alice), has_called))
    await has_called.wait()
    with closing(sqlite3.connect(tmp_path / "platform.db", isolation_level=None)) as lock:
        lock.execute("begin immediate")
        assert runtime.gate
        runtime.gate.set()
        await asyncio.wait_for(calling, 60)

    await ctx.running_turns.wait(30)

    row = await turn_row(ctx, alice, turn_id)
    assert (row.status, row.run_until_ms) == ("failed", None)
    async with reading(ctx.engine) as session:
        causes = set((await session.exec(select(ModelCall.turn_id))).all())
    assert causes == {turn_id}


async def test_a_process_whose_turn_was_taken_does_not_name_its_run_there(
    ctx: AppContext, alice: Person, runtime: BadLine
):
    runtime.is_opening = asyncio.Event()
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await runtime.is_opening.wait()
    await ctx.writer.write(
        lambda c: c.exec_driver_sql("update turns set owner = 'other', runtime_run_id = 'theirs'")
    )

    runtime.may_open.set()
    await ctx.running_turns.wait(5)

    row = await turn_row(ctx, alice, turn_id)
    assert (row.owner, row.runtime_run_id, row.status) == ("other", "theirs", "running")
