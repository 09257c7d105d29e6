"""Several processes serve the same turns: any of them can read or stop any turn.

Each process is a context on the same database, connected only by a real Redis.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from chat_platform.billing.open_calls import OpenCall, OpenCalls
from chat_platform.context import AppContext
from chat_platform.ports import TextPiece
from chat_platform.turns import control
from chat_platform.turns.events import text_of
from chat_platform.turns.feed import TurnFeed
from chat_platform.turns.redis_feed import _CHANNEL, relayed_turns
from chat_platform.turns.running import RunningTurns
from chat_platform.values.ids import AgentId, CallId
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.turn_talk import events_of, until
from tests.waiting import eventually_found


@pytest.fixture
async def processes(
    ctx: AppContext, redis_url: str
) -> AsyncIterator[tuple[AppContext, AppContext]]:
    settings = ctx.settings.model_copy(update={"redis_url": SecretStr(redis_url)})
    first, second = (
        replace(
            ctx,
            settings=settings,
            process_id=name,
            turn_feed=TurnFeed(),
            running_turns=RunningTurns(),
            open_calls=OpenCalls(),
        )
        for name in ("first", "second")
    )
    async with relayed_turns(first), relayed_turns(second), Redis.from_url(redis_url) as redis:
        await eventually_found(lambda: _are_listening(redis))
        yield first, second
        await first.running_turns.interrupt()


async def _are_listening(redis: Redis) -> bool:
    """Tell whether both processes have subscribed."""
    [(_, listeners)] = await redis.pubsub_numsub(_CHANNEL)
    return listeners == 2


@pytest.fixture
def gate(runtime: FakeRuntime) -> asyncio.Event:
    runtime.gate = asyncio.Event()
    return runtime.gate


async def test_a_reader_in_another_process_sees_the_words_as_they_come(
    processes: tuple[AppContext, AppContext],
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
):
    first, second = processes
    runtime.script.append([TextPiece("one "), TextPiece("two")])
    turn_id = await control.start_turn(first, alice.account, text="Count")
    async with asyncio.timeout(3):
        seen = await until(second, alice, turn_id, "message.delta")

    gate.set()

    async with asyncio.timeout(3):
        assert text_of(seen) == "one "
        assert text_of(await events_of(second, alice, turn_id)) == "one two"


async def test_a_stop_in_another_process_ends_the_turn_within_a_second(
    processes: tuple[AppContext, AppContext],
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
):
    first, second = processes
    runtime.script.append([TextPiece("one "), TextPiece("two")])
    turn_id = await control.start_turn(first, alice.account, text="Count")
    await until(first, alice, turn_id, "message.delta")

    async with asyncio.timeout(1):
        await control.cancel_turn(second, alice.id, turn_id)
        events = await events_of(first, alice, turn_id)

    assert events[-1].type == "turn.cancelled"


async def test_a_stop_ends_the_turns_open_calls_in_every_process(
    processes: tuple[AppContext, AppContext], alice: Person, gate: asyncio.Event
):
    first, second = processes
    turn_id = await control.start_turn(first, alice.account, text="Count")
    await until(first, alice, turn_id, "turn.started")
    relaying = asyncio.create_task(asyncio.sleep(60))
    agent_id = AgentId(f"agent-{alice.id}")
    call = OpenCall(CallId("call"), agent_id, alice.id, relaying, turn_id)

    with second.open_calls.listed(call):
        await control.cancel_turn(first, alice.id, turn_id)
        async with asyncio.timeout(1):
            await asyncio.wait({relaying})

    assert relaying.cancelled()


async def test_a_turn_that_begins_wakes_who_shows_the_account_in_another_process(
    processes: tuple[AppContext, AppContext], alice: Person
):
    first, second = processes
    with second.turn_feed.listen(alice.id) as news:
        await control.start_turn(first, alice.account, text="Hello")

        async with asyncio.timeout(3):
            await news.get()
