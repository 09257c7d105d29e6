from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from chat_platform.billing import ledger, usage
from chat_platform.context import AppContext
from tests.ledger_entries import Payer, intent, new_payer, opened, settlement, start_turn

MIDNIGHT = int(datetime(2026, 3, 5, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000
_UTC = ZoneInfo("UTC")


async def _spend(ctx: AppContext, payer: Payer, at_ms: int, cost: int, **changes: object) -> None:
    source = changes.pop("cost_source", "header")
    entry = intent(ctx, payer, now_ms=at_ms, **changes)
    await opened(ctx, entry)
    await ledger.settle_call(ctx, settlement(entry, cost, cost_source=source))


async def test_every_list_adds_up_to_the_total_exactly(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    await _spend(ctx, payer, MIDNIGHT - 1, 3)
    turn_id = await start_turn(ctx, payer)
    await _spend(ctx, payer, MIDNIGHT, 5)
    await _spend(ctx, payer, MIDNIGHT, 7, kind="embedding", model="demo-embedding")

    report = await usage.report(
        ctx, payer.account_id, start_ms=MIDNIGHT - HOUR, end_ms=MIDNIGHT + HOUR, zone=_UTC
    )

    lists = (report.by_day, report.by_model, report.by_kind, report.by_turn)
    assert report.cost_nano_usd == 15
    assert [sum(line.cost_nano_usd for line in lines) for lines in lists] == [15] * 4
    assert [(line.name, line.cost_nano_usd) for line in report.by_day] == [
        ("2026-03-04", 3),
        ("2026-03-05", 12),
    ]
    assert [line.name for line in report.by_kind] == ["background", "chat", "embedding"]
    assert [line.name for line in report.by_turn] == ["", turn_id]
    assert report.turns == 1


async def test_days_begin_at_midnight_where_the_person_is(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    await _spend(ctx, payer, MIDNIGHT - HOUR, 3)

    report = await usage.report(
        ctx,
        payer.account_id,
        start_ms=MIDNIGHT - 2 * HOUR,
        end_ms=MIDNIGHT,
        zone=ZoneInfo("Asia/Kathmandu"),
    )

    assert [line.name for line in report.by_day] == ["2026-03-05"]


async def test_the_period_holds_its_start_and_not_its_end(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    await _spend(ctx, payer, MIDNIGHT, 3)

    during = await usage.report(
        ctx, payer.account_id, start_ms=MIDNIGHT, end_ms=MIDNIGHT + 1, zone=_UTC
    )
    before = await usage.report(
        ctx, payer.account_id, start_ms=MIDNIGHT - 1, end_ms=MIDNIGHT, zone=_UTC
    )

    assert (during.model_calls, before.model_calls) == (1, 0)


async def test_pending_costs_are_counted(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    await _spend(ctx, payer, MIDNIGHT, 3, cost_source="pending")

    report = await usage.report(
        ctx, payer.account_id, start_ms=MIDNIGHT, end_ms=MIDNIGHT + HOUR, zone=_UTC
    )

    assert report.pending_calls == 1


async def test_bob_sees_nothing_of_alices(ctx: AppContext):
    alice, bob = await new_payer(ctx, "alice"), await new_payer(ctx, "bob")
    await _spend(ctx, alice, MIDNIGHT, 3)

    report = await usage.report(ctx, bob.account_id, start_ms=0, end_ms=MIDNIGHT + HOUR, zone=_UTC)

    assert (report.model_calls, report.cost_nano_usd, report.by_day) == (0, 0, [])


async def test_without_times_the_running_period_is_reported(ctx: AppContext):
    payer = await new_payer(ctx, "alice")

    report = await usage.report(ctx, payer.account_id, zone=_UTC)

    assert report.start_ms == report.budget.period_start_ms
    assert report.end_ms == report.budget.resets_at_ms
