"""What an operator watches adds up, says what is true, and contains nothing that anybody wrote."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from chat_platform import __version__
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Account, ModelCall
from chat_platform.operations.failures import failures
from chat_platform.operations.overview import overview
from chat_platform.operations.peers import peers
from chat_platform.operations.people import people
from chat_platform.operations.spending import spending
from chat_platform.operations.times import Times, times_at
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId, CallId, new_id
from tests.fakes import FakeGateway, FakeRuntime
from tests.ledger_entries import CENT, Payer, intent, new_payer, opened, settlement
from tests.people import Person
from tests.turn_rows import add_turn


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # pyright: ignore[reportArgumentType]


NOON = ms(2026, 3, 15, 12)
TIMES = times_at(NOON)


def id_of(at_ms: int) -> str:
    """Return an id made then."""
    return f"{at_ms:012x}"[:8] + "-" + f"{at_ms:012x}"[8:] + new_id()[13:]


async def add_call(ctx: AppContext, at_ms: int, **fields: Any) -> None:
    call = ModelCall(
        id=CallId(id_of(at_ms)),
        account_id=AccountId("somebody"),
        agent_id=AgentId("agent"),
        kind="chat",
        model="demo-chat",
        state="settled",
        cost_source="header",
        prompt_tokens=10,
        completion_tokens=5,
        cost_nano_usd=CENT,
        owner="process",
        lease_until_ms=0,
        started_at_ms=at_ms,
    )
    call.sqlmodel_update(fields)
    async with transaction(ctx.engine) as session:
        await session.execute(insert(ModelCall).values(**call.model_dump()))


async def add_account(ctx: AppContext, name: str, **fields: Any) -> None:
    account = Account(email=f"{name}@example.com", auth_provider="embedded", auth_subject=name)
    account.sqlmodel_update(fields)
    async with transaction(ctx.engine) as session:
        await session.execute(insert(Account).values(**account.model_dump()))


def test_days_and_months_begin_at_midnight_in_utc():
    assert Times(NOON, ms(2026, 3, 15), ms(2026, 3, 8, 12), ms(2026, 3, 1)) == TIMES


async def test_people_are_counted_by_when_they_were_last_active(ctx: AppContext):
    await add_account(ctx, "now", last_active_at_ms=NOON)
    await add_account(ctx, "yesterday", last_active_at_ms=TIMES.day_ms - 1)
    await add_account(ctx, "long-ago", last_active_at_ms=TIMES.week_ms - 1, disabled_at_ms=1)
    await add_account(ctx, "never")
    await add_account(ctx, "leaving", last_active_at_ms=NOON, deleting_at_ms=NOON)

    read = await people(ctx, TIMES)

    assert (read.total, read.disabled, read.active_today, read.active_week) == (4, 1, 1, 2)
    assert [each.email.partition("@")[0] for each in read.newest] == [
        "never",
        "long-ago",
        "yesterday",
    ]


async def test_spending_is_exact_by_day_month_and_model(ctx: AppContext):
    await add_call(ctx, TIMES.month_ms - 1, cost_nano_usd=1000 * CENT)
    await add_call(ctx, TIMES.month_ms, cost_nano_usd=7)
    await add_call(ctx, TIMES.day_ms - 1, cost_nano_usd=11, model="demo-embedding")
    await add_call(ctx, TIMES.day_ms, cost_nano_usd=13)

    read = await spending(ctx, TIMES)

    assert (read.day.cost_nano_usd, read.day.model_calls) == (13, 1)
    assert (read.month.cost_nano_usd, read.month.model_calls) == (31, 3)
    assert [(line.name, line.cost_nano_usd) for line in read.models] == [
        ("demo-chat", 20),
        ("demo-embedding", 11),
    ]
    assert (read.month.prompt_tokens, read.month.completion_tokens) == (30, 15)


async def test_a_call_whose_id_is_a_moment_older_counts(ctx: AppContext):
    await add_call(ctx, TIMES.month_ms, id=CallId(id_of(TIMES.month_ms - 1000)))

    assert (await spending(ctx, TIMES)).month.model_calls == 1


async def test_before_anything_happened_there_is_nothing(ctx: AppContext):
    read = await overview(ctx)

    assert (read.people.total, read.spending.month.model_calls) == (0, 0)
    assert (read.spending.models, read.failures.turns, read.failures.calls) == ([], [], [])
    assert read.background.oldest_pending_ms is None


async def test_turns_are_counted_by_outcome_and_failures_by_code(ctx: AppContext, alice: Person):
    at: dict[str, Any] = {"created_at_ms": now_ms(), "ended_at_ms": now_ms()}
    for status, code in (
        ("finished", None),
        ("failed", "model_failed"),
        ("failed", "model_failed"),
        ("failed", "interrupted"),
        ("cancelled", None),
    ):
        await add_turn(ctx, alice.id, status=status, error_code=code, **at)
    await add_turn(ctx, alice.id, status="failed", error_code="old", created_at_ms=1)
    await add_turn(ctx, alice.id, status="finished", kind="memory", **at)
    await add_turn(ctx, alice.id)

    read = await failures(ctx, times_at(now_ms()))

    assert (read.finished, read.failed, read.cancelled) == (1, 3, 1)
    assert [(each.code, each.number) for each in read.turns] == [
        ("model_failed", 2),
        ("interrupted", 1),
    ]
    assert read.turns[0].last_at_ms == at["ended_at_ms"]


async def test_a_gateways_own_words_are_no_code(ctx: AppContext):
    words = {"state": "failed", "error_code": "about my diary"}
    await add_call(ctx, NOON, **words)
    await add_call(ctx, NOON + 1, state="failed", error_code=None)
    await add_call(ctx, NOON + 2, state="failed", error_code="server_error")

    read = await failures(ctx, TIMES)

    assert [(each.code, each.number) for each in read.calls] == [("other", 2), ("server_error", 1)]


async def test_peers_tell_their_health_and_version(
    ctx: AppContext, gateway: FakeGateway, settings: Settings
):
    gateway.is_down = True

    database, agents, billing = await peers(ctx)

    kind = "SQLite" if settings.is_on_sqlite else "PostgreSQL"
    assert (database.is_ok, database.version.split()[0]) == (True, kind)
    assert (agents.is_ok, agents.version) == (True, "0.16.8")
    assert (billing.is_ok, billing.version) == (False, "")


class SlowRuntime(FakeRuntime):
    async def check(self) -> str:
        await asyncio.sleep(0.05)
        return await super().check()


class TestWithASlowAgentServer:
    @pytest.fixture
    def runtime(self) -> FakeRuntime:
        return SlowRuntime()

    async def test_its_latency_shows(self, ctx: AppContext):
        _, agents, _ = await peers(ctx)

        assert agents.ms >= 50


async def test_background_work_is_told_as_it_is(ctx: AppContext, alice: Person):
    payer = await new_payer(ctx, "payer")
    await opened(ctx, intent(ctx, payer))
    await add_call(ctx, NOON, cost_source="pending")
    await add_call(ctx, NOON + 1, cost_source="pending", state="dispatched", lease_until_ms=1)
    await add_turn(ctx, alice.id, lease_until_ms=1)

    read = (await overview(ctx)).background

    assert (read.running_turns, read.open_calls, read.overdue) == (1, 2, 2)
    assert (read.pending_prices, read.oldest_pending_ms) == (1, NOON)
    assert (read.unsettled_calls, read.waiting_writes, read.deletions) == (0, 0, 0)


async def test_versions_are_ours_and_the_schemas(ctx: AppContext):
    read = await overview(ctx)

    assert read.version == __version__
    assert read.schema.startswith("0")


async def test_the_figures_name_nobody_but_the_newest(ctx: AppContext, alice: Person):
    await settled_call(ctx, await new_payer(ctx, "payer"))

    told = str(asdict(await overview(ctx)))

    assert alice.id not in told


async def settled_call(ctx: AppContext, payer: Payer) -> None:
    entry = intent(ctx, payer)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, CENT))
