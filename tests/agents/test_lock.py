"""An account does one thing at a time, and a dead process locks nobody out."""

import asyncio

import pytest
from sqlmodel import select

from chat_platform.agents.lock import hold, new_turn, renew, take
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Conflict
from chat_platform.models import Turn
from tests.people import Person
from tests.waiting import eventually


async def _turns(ctx: AppContext) -> list[Turn]:
    async with reading(ctx.engine) as session:
        return list((await session.exec(select(Turn))).all())


async def test_a_second_holder_is_refused_until_the_first_is_done(ctx: AppContext, alice: Person):
    async with hold(ctx, alice.id, "memory"):
        with pytest.raises(Conflict) as refusal:
            async with hold(ctx, alice.id, "memory"):
                pass

    async with hold(ctx, alice.id, "message"):
        pass
    assert refusal.value.code == "turn_running"


async def test_bob_does_not_wait_for_alice(ctx: AppContext, alice: Person, bob: Person):
    async with hold(ctx, alice.id, "memory"), hold(ctx, bob.id, "memory"):
        assert len(await _turns(ctx)) == 2


async def test_of_many_at_once_one_gets_the_lock(ctx: AppContext, alice: Person):
    refusals: list[Conflict] = []

    async def try_to_hold() -> None:
        try:
            async with hold(ctx, alice.id, "memory"):
                await eventually(lambda: len(refusals) == 7)
        except Conflict as refusal:
            refusals.append(refusal)

    await asyncio.gather(*(try_to_hold() for _ in range(8)))

    assert len(refusals) == 7


async def test_a_failing_action_releases_the_lock_and_is_marked_failed(
    ctx: AppContext, alice: Person
):
    with pytest.raises(RuntimeError, match="boom"):
        async with hold(ctx, alice.id, "memory"):
            raise RuntimeError("boom")

    assert [turn.status for turn in await _turns(ctx)] == ["failed"]


async def test_a_cancelled_action_releases_the_lock(ctx: AppContext, alice: Person):
    is_held = asyncio.Event()

    async def hold_forever() -> None:
        async with hold(ctx, alice.id, "memory"):
            is_held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold_forever())
    await is_held.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [turn.status for turn in await _turns(ctx)] == ["failed"]


async def test_the_lock_of_a_dead_memory_action_is_taken_over(ctx: AppContext, alice: Person):
    dead = new_turn(ctx, alice.id, "memory")
    dead.owner, dead.lease_until_ms = "a process that died", 1
    async with transaction(ctx.engine) as session:
        session.add(dead)

    async with hold(ctx, alice.id, "memory"):
        statuses = {turn.id: turn.status for turn in await _turns(ctx)}

    assert statuses.pop(dead.id) == "failed"
    assert list(statuses.values()) == ["running"]


async def test_a_dead_message_turn_keeps_the_lock_until_it_is_settled(
    ctx: AppContext, alice: Person
):
    dead = new_turn(ctx, alice.id, "message")
    dead.lease_until_ms = 1
    async with transaction(ctx.engine) as session:
        session.add(dead)

    with pytest.raises(Conflict):
        async with hold(ctx, alice.id, "memory"):
            pass


async def test_a_lease_is_renewed_while_the_turn_runs_and_not_after(ctx: AppContext, alice: Person):
    turn = new_turn(ctx, alice.id, "message")
    turn.lease_until_ms = 1
    async with transaction(ctx.engine) as session:
        await take(session, turn)

    assert await renew(ctx, turn.id)
    assert (await _turns(ctx))[0].lease_until_ms > 1
    async with transaction(ctx.engine) as session:
        (await session.get_one(Turn, turn.id)).status = "finished"
    assert not await renew(ctx, turn.id)


@pytest.mark.parametrize("steps", range(0, 120, 6))
async def test_a_caller_that_goes_away_at_any_moment_leaves_no_lock(
    ctx: AppContext, alice: Person, steps: int
):
    async def act() -> None:
        async with hold(ctx, alice.id, "memory"):
            await asyncio.Event().wait()

    acting = asyncio.create_task(act())
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    acting.cancel()
    await asyncio.gather(acting, return_exceptions=True)

    async with hold(ctx, alice.id, "memory"):
        pass
