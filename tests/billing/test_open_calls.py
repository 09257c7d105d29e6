import asyncio

import pytest

from chat_platform.billing.open_calls import OpenCall, OpenCalls
from chat_platform.values.ids import AccountId, AgentId, CallId, TurnId

HERS, HER_NEXT, HIS = TurnId("hers"), TurnId("her-next"), TurnId("his")


async def _relay(
    calls: OpenCalls, turn_id: TurnId | None, *, intent: asyncio.Future[TurnId] | None = None
) -> None:
    """Relay a call of the turn, or of the one that its intent assigns."""
    task = asyncio.current_task()
    assert task
    call = OpenCall(CallId("call"), AgentId("agent"), AccountId("someone"), task, turn_id)
    with calls.listed(call):
        if intent:
            calls.assign(call, await intent)
        await asyncio.Event().wait()


async def test_abort_ends_that_turns_calls_and_no_others():
    calls = OpenCalls()
    turns = (HERS, HERS, HER_NEXT, HIS)
    first, second, next_one, his = [asyncio.create_task(_relay(calls, t)) for t in turns]
    await asyncio.sleep(0)

    ended = calls.abort(HERS)

    await asyncio.wait([first, second])
    assert ended == 2
    assert first.cancelled()
    assert second.cancelled()
    assert not next_one.done()
    assert not his.done()
    assert calls.total == 2
    next_one.cancel()
    his.cancel()
    await asyncio.wait([next_one, his])


async def test_a_call_whose_intent_was_on_its_way_at_the_abort_ends_too():
    calls = OpenCalls()
    intent: asyncio.Future[TurnId] = asyncio.get_running_loop().create_future()
    relaying = asyncio.create_task(_relay(calls, None, intent=intent))
    await asyncio.sleep(0)

    calls.abort(HERS)
    intent.set_result(HERS)

    await asyncio.wait([relaying], timeout=5)
    assert relaying.cancelled()


async def test_nothing_stays_listed_after_the_calls_end():
    calls = OpenCalls()
    task = asyncio.create_task(_relay(calls, HERS))
    await asyncio.sleep(0)
    assert calls.of_account(AccountId("someone")) == 1

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert calls.total == 0
    assert calls.of_account(AccountId("someone")) == 0
    assert list(calls) == []


async def test_abort_without_open_calls_does_nothing():
    assert OpenCalls().abort(TurnId("nobody's")) == 0
