"""A turn's receipt adds up, whoever reads it and whatever is settled meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.util import await_only

from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import Intent
from chat_platform.billing.receipts import (
    Receipt,
    TurnUsage,
    receipt_of,
    totals_of,
    usage_of,
)
from chat_platform.context import AppContext
from chat_platform.turns import control
from tests.ledger_entries import intent, new_payer, opened, settlement, start_turn


@contextmanager
def settled_after_each_reading(ctx: AppContext, entries: list[Intent]) -> Iterator[None]:
    """Settle one more call as soon as a query has read the ledger."""

    def settle_next(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "FROM model_calls" in statement and waiting:
            await_only(ledger.settle_call(ctx, settlement(waiting.pop(), 7)))

    waiting = list(entries)
    engine = ctx.engine.sync_engine
    event.listen(engine, "after_cursor_execute", settle_next)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", settle_next)


async def test_a_receipt_is_the_same_for_one_turn_and_for_many(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    turn_id = await start_turn(ctx, payer)
    entries = [intent(ctx, payer) for _ in range(3)]
    for entry in entries:
        await opened(ctx, entry)
    for entry, source in zip(entries, ("header", "estimated"), strict=False):
        await ledger.settle_call(ctx, settlement(entry, 7, cost_source=source))

    receipt = await receipt_of(ctx, turn_id)

    assert [call.id for call in receipt.calls] == [entry.call_id for entry in entries]
    assert receipt.usage == TurnUsage(
        prompt_tokens=24, completion_tokens=10, model_calls=3, cost_nano_usd=14, pending_calls=2
    )
    assert await usage_of(ctx, turn_id) == receipt.usage
    totals = await totals_of(ctx, payer.account_id, [turn_id])
    assert totals[turn_id].usage == receipt.usage


async def test_a_turn_without_calls_has_an_empty_receipt(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    turn_id = await start_turn(ctx, payer)

    totals = await totals_of(ctx, payer.account_id, [turn_id])

    assert await receipt_of(ctx, turn_id) == Receipt(TurnUsage(), [])
    assert totals[turn_id].usage == await usage_of(ctx, turn_id) == TurnUsage()


async def test_bob_gets_no_total_of_alices_turn(ctx: AppContext):
    alice, bob = await new_payer(ctx, "alice"), await new_payer(ctx, "bob")
    turn_id = await start_turn(ctx, alice)

    assert await totals_of(ctx, bob.account_id, [turn_id]) == {}


async def test_a_receipt_adds_up_while_its_calls_are_being_settled(ctx: AppContext):
    payer = await new_payer(ctx, "alice")
    turn_id = await start_turn(ctx, payer)
    entries = [intent(ctx, payer) for _ in range(3)]
    for entry in entries:
        await opened(ctx, entry)

    with settled_after_each_reading(ctx, entries):
        view = await control.turn_view(ctx, payer.account_id, turn_id)

    receipt = view.receipt
    assert receipt.usage.cost_nano_usd == sum(call.cost_nano_usd for call in receipt.calls)
    pending = [call for call in receipt.calls if call.cost_source == "pending"]
    assert receipt.usage.pending_calls == len(pending)
