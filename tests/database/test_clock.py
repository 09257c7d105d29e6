"""On Postgres, leases use its clock: a host with a wrong clock takes and keeps nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlmodel import select

from chat_platform.agents.lock import LEASE_SECONDS, hold
from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import LEASE_SECONDS as CALL_LEASE_SECONDS
from chat_platform.billing.open_calls import OpenCall
from chat_platform.billing.reconciliation import reconcile
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Turn
from chat_platform.turns import control
from chat_platform.turns.feed import TurnFeed
from chat_platform.turns.recovery import recover_turns, renew_leases
from chat_platform.turns.running import RunningTurns
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import CallId
from tests.fakes import FakeRuntime
from tests.faults.clock import Clock
from tests.ledger_entries import Payer, call_row, intent, new_payer, opened
from tests.people import Person
from tests.turn_rows import add_turn
from tests.turn_talk import turn_row

HOUR_SECONDS = 3600


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """With SQLite there is one host, and its clock is the database's."""
    return postgres_url


@pytest.fixture(params=[HOUR_SECONDS, -HOUR_SECONDS], ids=["ahead", "behind"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[Clock]:
    """This host's clock; it is an hour off once it is told to jump."""
    clock = _WrongClock(request.param)
    with clock.in_charge():
        yield clock


class _WrongClock(Clock):
    def __init__(self, off_seconds: float) -> None:
        super().__init__()
        self._off_seconds = off_seconds

    def go_wrong(self) -> None:
        self.jump_seconds = self._off_seconds

    def go_right(self) -> None:
        self.jump_seconds = 0.0


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "payer")


def other_host(ctx: AppContext) -> AppContext:
    return replace(ctx, process_id="other-host", turn_feed=TurnFeed(), running_turns=RunningTurns())


async def _lease_left_seconds(ctx: AppContext) -> float:
    """Return the remaining lease of the only turn, by the right clock."""
    async with reading(ctx.engine) as session:
        row = (await session.exec(select(Turn))).one()
    return (row.lease_until_ms - now_ms()) / 1000


async def test_a_wrong_host_takes_no_live_turn_over(
    ctx: AppContext, alice: Person, wrong_clock: _WrongClock
):
    turn = await add_turn(ctx, alice.id, owner="alive")
    wrong_clock.go_wrong()

    await recover_turns(ctx)

    async with reading(ctx.engine) as session:
        row = (await session.exec(select(Turn))).one()
    assert (row.id, row.status, row.owner) == (turn.id, "running", "alive")


@pytest.mark.parametrize("kind", ["message", "memory"])
async def test_a_wrong_host_ends_a_dead_turn_as_any_other(
    ctx: AppContext, alice: Person, wrong_clock: _WrongClock, kind: str
):
    await add_turn(ctx, alice.id, owner="dead", kind=kind, lease_until_ms=now_ms() - 1)
    wrong_clock.go_wrong()

    await recover_turns(ctx)
    await ctx.running_turns.wait(5)

    async with reading(ctx.engine) as session:
        row = (await session.exec(select(Turn))).one()
    assert (row.status, row.error_code) == ("failed", "interrupted")


async def test_a_turn_that_a_wrong_host_opens_and_renews_has_the_lease_of_any_other(
    ctx: AppContext, alice: Person, runtime: FakeRuntime, wrong_clock: _WrongClock
):
    runtime.gate = asyncio.Event()
    wrong_clock.go_wrong()
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    wrong_clock.go_right()
    opened_for = await _lease_left_seconds(ctx)

    wrong_clock.go_wrong()
    await renew_leases(ctx)
    wrong_clock.go_right()

    assert 0 < opened_for <= LEASE_SECONDS
    assert 0 < await _lease_left_seconds(ctx) <= LEASE_SECONDS
    await recover_turns(other_host(ctx))
    assert (await turn_row(ctx, alice, turn_id)).owner == ctx.process_id


async def test_a_memory_action_of_a_wrong_host_has_the_lease_of_any_other(
    ctx: AppContext, alice: Person, wrong_clock: _WrongClock
):
    wrong_clock.go_wrong()
    async with hold(ctx, alice.id, "memory"):
        wrong_clock.go_right()

        assert 0 < await _lease_left_seconds(ctx) <= LEASE_SECONDS


async def test_a_wrong_host_expires_no_live_call(
    ctx: AppContext, payer: Payer, wrong_clock: _WrongClock
):
    entry = intent(ctx, payer, owner="alive")
    await opened(ctx, entry)
    wrong_clock.go_wrong()

    assert (await reconcile(ctx)).expired == 0
    assert (await call_row(ctx, entry.call_id)).state == "dispatched"


async def test_a_call_of_a_wrong_host_has_the_lease_of_any_other(
    ctx: AppContext, payer: Payer, wrong_clock: _WrongClock
):
    wrong_clock.go_wrong()
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    first = (await call_row(ctx, entry.call_id)).lease_until_ms
    await _renew(ctx, payer, entry.call_id)
    wrong_clock.go_right()

    renewed = (await call_row(ctx, entry.call_id)).lease_until_ms
    for lease_until_ms in (first, renewed):
        assert 0 < lease_until_ms - now_ms() <= CALL_LEASE_SECONDS * 1000


async def _renew(ctx: AppContext, payer: Payer, call_id: CallId) -> None:
    relaying = asyncio.create_task(asyncio.sleep(60))
    with ctx.open_calls.listed(OpenCall(call_id, payer.agent_id, payer.account_id, relaying)):
        await ledger.renew_leases(ctx)
    relaying.cancel()
