import asyncio

import pytest

from chat_platform.ids import AccountId, AgentId, CallId
from chat_platform.open_calls import OpenCall, OpenCalls


async def _relay(calls: OpenCalls, name: str) -> None:
    task = asyncio.current_task()
    assert task
    with calls.listed(OpenCall(CallId(name), AgentId(name), AccountId("someone"), task)):
        await asyncio.sleep(60)


async def test_abort_ends_that_agents_calls_and_no_others():
    calls = OpenCalls()
    alice, again, bob = [asyncio.create_task(_relay(calls, n)) for n in ("alice", "alice", "bob")]
    await asyncio.sleep(0)

    ended = calls.abort(AgentId("alice"))

    await asyncio.wait([alice, again])
    assert ended == 2
    assert alice.cancelled()
    assert again.cancelled()
    assert not bob.done()
    assert calls.total == 1
    bob.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bob


async def test_nothing_stays_listed_after_the_calls_end():
    calls = OpenCalls()
    task = asyncio.create_task(_relay(calls, "alice"))
    await asyncio.sleep(0)
    assert calls.of_account(AccountId("someone")) == 1

    task.cancel()
    await asyncio.wait([task])

    assert calls.total == 0
    assert calls.of_account(AccountId("someone")) == 0
    assert list(calls) == []


async def test_abort_without_open_calls_does_nothing():
    assert OpenCalls().abort(AgentId("nobody")) == 0
