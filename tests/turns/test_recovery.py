"""Turns survive their process: leases show which processes live, and a drain is orderly."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col

from chat_platform.agents import agents
from chat_platform.billing.open_calls import OpenCall
from chat_platform.billing.reconciliation import reconcile
from chat_platform.context import AppContext
from chat_platform.errors import Conflict, agent_unavailable
from chat_platform.models import Turn
from chat_platform.ports import RunEvent, SpendRecord, StepChanged, TextPiece
from chat_platform.turns import control, event_log
from chat_platform.turns.events import TurnEvent, text_of
from chat_platform.turns.feed import TurnFeed
from chat_platform.turns.recovery import drain, kept_turns, recover_turns, renew_leases
from chat_platform.turns.running import RunningTurns
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId, CallId, TurnId
from tests.fakes import FakeGateway, FakeRuntime
from tests.ledger_entries import Payer, call_row, intent, opened
from tests.people import Person
from tests.turn_rows import add_turn
from tests.turn_talk import events_of, talk, turn_row, until
from tests.waiting import eventually, let_loop_run

LOGGED = [
    TurnEvent(1, "turn.started", {}),
    TurnEvent(6, "message.delta", {"text": "Hello"}),
]


def other_process(ctx: AppContext) -> AppContext:
    """Return the context of another process on the same database and agent server."""
    return replace(
        ctx,
        process_id="other-process",
        turn_feed=TurnFeed(),
        running_turns=RunningTurns(),
    )


async def orphan(ctx: AppContext, person: Person, **fields: object) -> TurnId:
    """Store a turn whose process died after the text Hello."""
    fields = {"lease_until_ms": now_ms() - 1} | fields
    turn = await add_turn(ctx, person.id, owner="dead-process", **fields)
    turn_id = turn.id
    await ctx.writer.write(lambda c: event_log.insert_events(c, turn_id, LOGGED))
    return turn_id


async def test_a_dead_processs_turn_ends_interrupted_with_its_text(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice)

    await recover_turns(ctx)

    events = await events_of(ctx, alice, turn_id)
    assert text_of(events) == "Hello"
    assert events[-1].type == "turn.failed"
    assert events[-1].data["code"] == "interrupted"
    (reply,) = (await control.turn_view(ctx, alice.id, turn_id)).messages
    assert (reply.content, reply.status) == ("Hello", "partial")


async def test_a_memory_edit_that_died_keeps_nobody_from_talking(ctx: AppContext, alice: Person):
    await add_turn(ctx, alice.id, owner="dead-process", kind="memory", lease_until_ms=now_ms() - 1)

    await recover_turns(ctx)

    assert (await talk(ctx, alice))[-1].type == "turn.completed"


async def test_a_memory_edit_that_lives_is_left_alone(ctx: AppContext, alice: Person):
    await add_turn(ctx, alice.id, kind="memory")

    await recover_turns(ctx)

    with pytest.raises(Conflict):
        await talk(ctx, alice)


async def test_after_recovery_the_person_can_talk_again(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice)
    await recover_turns(ctx)
    await events_of(ctx, alice, turn_id)

    assert (await talk(ctx, alice))[-1].type == "turn.completed"


async def test_the_receipt_of_a_dead_processs_turn_is_the_same_for_every_reader(
    ctx: AppContext, alice: Person, gateway: FakeGateway
):
    agent_id = await agents.ensure_agent(ctx, alice.account)
    turn_id = await orphan(ctx, alice)
    call = intent(ctx, Payer(alice.id, agent_id), owner="dead-process")
    await opened(ctx, call)
    await recover_turns(ctx)
    at_the_end = (await events_of(ctx, alice, turn_id))[-1].data["usage"]

    gateway.booked = [SpendRecord(call.call_id, 54_800, 100, 7, is_success=True)]
    await reconcile(ctx)

    replayed = (await events_of(ctx, alice, turn_id))[-1].data["usage"]
    shown = control.usage_data((await control.turn_view(ctx, alice.id, turn_id)).receipt.usage)
    assert (at_the_end["cost_usd"], at_the_end["pending_calls"]) == ("0.000000000", 1)
    assert (replayed["cost_usd"], replayed["pending_calls"]) == ("0.000054800", 0)
    assert replayed == shown


async def test_a_dead_processs_call_is_closed_before_its_turn_ends(ctx: AppContext, alice: Person):
    agent_id = await agents.ensure_agent(ctx, alice.account)
    turn_id = await orphan(ctx, alice)
    call = intent(ctx, Payer(alice.id, agent_id), owner="dead-process")
    await opened(ctx, call)

    await recover_turns(ctx)
    await events_of(ctx, alice, turn_id)

    assert (await call_row(ctx, call.call_id)).state == "unknown"


async def test_live_leases_are_left_alone(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice, lease_until_ms=now_ms() + 10_000)

    await recover_turns(ctx)

    row = await turn_row(ctx, alice, turn_id)
    assert (row.status, row.owner) == ("running", "dead-process")


async def test_two_processes_that_find_a_dead_turn_end_it_once(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice)
    other = other_process(ctx)

    await asyncio.gather(recover_turns(ctx), recover_turns(other))
    await asyncio.gather(ctx.running_turns.wait(5), other.running_turns.wait(5))

    events = await event_log.read(ctx, turn_id)
    assert sum(event.is_end for event in events) == 1


async def test_a_stopped_turn_of_a_dead_process_ends_cancelled(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice, cancel_requested_at_ms=now_ms())

    await recover_turns(ctx)

    assert (await events_of(ctx, alice, turn_id))[-1].type == "turn.cancelled"


async def test_a_process_that_was_too_slow_writes_nothing_more(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("early "), TextPiece("late")])
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    await until(ctx, alice, turn_id, "message.delta")
    await _let_expire(ctx, turn_id)
    other = other_process(ctx)
    await recover_turns(other)
    await other.running_turns.wait(5)

    runtime.gate.set()
    await ctx.running_turns.wait(5)

    events = await event_log.read(ctx, turn_id)
    assert text_of(events) == "early "
    assert [event.type for event in events if event.is_end] == ["turn.failed"]


async def test_renewing_keeps_a_running_turn_alive(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    await _let_expire(ctx, turn_id)

    await renew_leases(ctx)

    assert (await turn_row(ctx, alice, turn_id)).lease_until_ms > now_ms()


async def test_renewing_sees_a_stop_of_which_no_news_came(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    runtime.script = [[TextPiece("early "), TextPiece("late")]]
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    await until(ctx, alice, turn_id, "message.delta")
    await control.cancel_turn(other_process(ctx), alice.id, turn_id)

    await renew_leases(ctx)
    await ctx.running_turns.wait(5)

    assert (await turn_row(ctx, alice, turn_id)).status == "cancelled"


async def test_the_upkeep_of_a_serving_process_recovers_by_itself(ctx: AppContext, alice: Person):
    turn_id = await orphan(ctx, alice)

    async with kept_turns(ctx):
        events = await events_of(ctx, alice, turn_id)

    assert events[-1].data["code"] == "interrupted"


async def test_a_drain_lets_running_turns_finish(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    draining = asyncio.create_task(drain(ctx, grace_seconds=5))
    await ctx.running_turns.draining.wait()

    runtime.gate.set()
    await draining

    assert (await turn_row(ctx, alice, turn_id)).status == "finished"


async def test_a_drain_lets_the_model_calls_of_other_processes_finish(ctx: AppContext):
    is_answered = asyncio.Event()
    relaying = asyncio.create_task(relay(ctx, is_answered))
    await eventually(lambda: ctx.open_calls.total)
    draining = asyncio.create_task(drain(ctx, grace_seconds=5))
    await ctx.running_turns.draining.wait()
    await let_loop_run(20)
    was_draining = not draining.done()

    is_answered.set()
    await draining

    assert was_draining
    assert relaying.done()


async def relay(ctx: AppContext, is_answered: asyncio.Event) -> None:
    """Stand in for the proxy: a call that is open until it is answered."""
    task = asyncio.current_task()
    assert task
    call = OpenCall(CallId("call"), AgentId("agent"), AccountId("account"), task)
    with ctx.open_calls.listed(call):
        await is_answered.wait()


async def test_a_drain_that_takes_too_long_keeps_what_was_said(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("half a "), TextPiece("sentence")])
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    await until(ctx, alice, turn_id, "message.delta")

    await drain(ctx, grace_seconds=0)

    events = await events_of(ctx, alice, turn_id)
    assert text_of(events) == "half a "
    assert events[-1].data["code"] == "interrupted"


@dataclass
class ResumingRuntime(FakeRuntime):
    """A runtime that keeps runs: another process can read one from its beginning."""

    async def resume(self, agent_id: AgentId, run_id: str) -> AsyncGenerator[RunEvent, None]:
        yield TextPiece("Hello")
        yield StepChanged("tool_call", "search", "done")
        yield TextPiece(f" from {run_id}")


@pytest.fixture
def ctx_with_redis(ctx: AppContext) -> AppContext:
    settings = ctx.settings.model_copy(update={"redis_url": SecretStr("redis://unused")})
    return replace(ctx, settings=settings, runtime=ResumingRuntime())


async def test_another_process_takes_a_run_over_and_finishes_it(
    ctx_with_redis: AppContext, alice: Person
):
    turn_id = await orphan(ctx_with_redis, alice, runtime_run_id="run-7")

    await recover_turns(ctx_with_redis)

    events = await events_of(ctx_with_redis, alice, turn_id)
    assert text_of(events) == "Hello from run-7"
    assert events[-1].type == "turn.completed"


async def test_a_run_that_cannot_be_resumed_ends_interrupted(
    ctx_with_redis: AppContext, alice: Person
):
    ctx = replace(ctx_with_redis, runtime=FakeRuntime())
    turn_id = await orphan(ctx, alice, runtime_run_id="run-7")

    await recover_turns(ctx)

    assert (await events_of(ctx, alice, turn_id))[-1].data["code"] == "interrupted"


async def test_a_drain_hands_a_run_over_that_another_process_can_resume(
    ctx_with_redis: AppContext, alice: Person
):
    runtime = ctx_with_redis.runtime
    assert isinstance(runtime, ResumingRuntime)
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("Hello"), TextPiece("never")])
    turn_id = await control.start_turn(ctx_with_redis, alice.account, text="Hi")
    await until(ctx_with_redis, alice, turn_id, "message.delta")

    await drain(ctx_with_redis, grace_seconds=0)
    other = other_process(ctx_with_redis)
    await recover_turns(other)

    events = await events_of(other, alice, turn_id)
    assert text_of(events) == "Hello from run-1"
    assert events[-1].type == "turn.completed"
    await other.running_turns.interrupt()


@pytest.mark.parametrize("then", ["it stops", "its connection to the run breaks"])
async def test_a_process_that_has_lost_its_turn_does_not_stop_the_run(
    ctx_with_redis: AppContext, alice: Person, then: str
):
    runtime = ctx_with_redis.runtime
    assert isinstance(runtime, ResumingRuntime)
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("Hello"), agent_unavailable()])
    turn_id = await control.start_turn(ctx_with_redis, alice.account, text="Hi")
    await until(ctx_with_redis, alice, turn_id, "message.delta")
    await _give_to(ctx_with_redis, turn_id, "other-process")

    if then == "it stops":
        await drain(ctx_with_redis, grace_seconds=0)
    else:
        runtime.gate.set()
        await ctx_with_redis.running_turns.wait()

    assert not ctx_with_redis.running_turns.ids
    assert runtime.cancelled == []


async def test_a_run_that_somebody_else_cancelled_is_no_whole_answer(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("Hello"), TextPiece("never")])
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    await until(ctx, alice, turn_id, "message.delta")

    await runtime.cancel(runtime.posted[0][0])

    events = await events_of(ctx, alice, turn_id)
    assert text_of(events) == "Hello"
    assert (events[-1].type, events[-1].data["code"]) == ("turn.failed", "interrupted")


async def _give_to(ctx: AppContext, turn_id: TurnId, process_id: str) -> None:
    change = update(Turn).where(col(Turn.id) == turn_id).values(owner=process_id)
    await ctx.writer.write(lambda c: c.execute(change) and None)


async def _let_expire(ctx: AppContext, turn_id: TurnId) -> None:
    change = update(Turn).where(col(Turn.id) == turn_id).values(lease_until_ms=now_ms() - 1)
    await ctx.writer.write(lambda c: c.execute(change) and None)
