"""SIGTERM lets running turns finish before the web server stops."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from chat_platform.context import AppContext
from chat_platform.turns import control
from chat_platform.web.orderly_stop import drain_on_sigterm
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.turn_talk import turn_row


@pytest.fixture
def web_server_stopped() -> Iterator[asyncio.Event]:
    """Stands in for the web server's own handler: SIGINT reaches it, not the tests."""
    stopped = asyncio.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    yield stopped
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


async def test_running_turns_finish_before_the_web_server_stops(
    web_server_stopped: asyncio.Event, ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    drain_on_sigterm(ctx)

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(ctx.running_turns.draining.wait(), 5)
    was_serving = not web_server_stopped.is_set()
    runtime.gate.set()
    await asyncio.wait_for(web_server_stopped.wait(), 5)

    assert was_serving
    assert (await turn_row(ctx, alice, turn_id)).status == "finished"


async def test_a_second_sigterm_stops_at_once(
    web_server_stopped: asyncio.Event, ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.gate = asyncio.Event()
    turn_id = await control.start_turn(ctx, alice.account, text="Hi")
    drain_on_sigterm(ctx)

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(ctx.running_turns.draining.wait(), 5)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(web_server_stopped.wait(), 5)

    assert (await turn_row(ctx, alice, turn_id)).status == "running"
    assert ctx.running_turns.leaving.is_set()
