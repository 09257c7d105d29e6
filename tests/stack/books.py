"""Whether all money is accounted for, to the nano-dollar: here, in every receipt, at LiteLLM."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tests.e2e.platform import Person
from tests.stack.platform import StackPlatform
from tests.waiting import wait_for

_BUDGETS = """
select b.account_id, b.spent_nano_usd, b.reserved_nano_usd,
       coalesce((select sum(c.cost_nano_usd) from model_calls c
                 where c.account_id = b.account_id
                   and c.period_start_ms = b.period_start_ms), 0) as booked
from budgets b
"""
_BY_TURN = """
select turn_id, sum(cost_nano_usd) as cost from model_calls where account_id = ? group by turn_id
"""
_AT_REST_SECONDS = 90.0
_BOOKED_AT_GATEWAY_SECONDS = 30.0


def wait_until_at_rest(stack: StackPlatform) -> None:
    """Wait until no turn runs, no call is open, and no cost is pending."""
    open_turns = "select id from turns where status = 'running'"
    open_calls = "select id from model_calls where state = 'dispatched'"
    wait_for(
        lambda: not stack.rows(open_turns) and not stack.rows(open_calls),
        seconds=_AT_REST_SECONDS,
        otherwise=lambda: f"still open: {stack.rows(open_turns)}, {stack.rows(open_calls)}",
    )


def disagreements(stack: StackPlatform, people: Sequence[Person]) -> list[str]:
    """Return a line for every sum that differs, when the platform is at rest."""
    found = [*_budgets(stack)]
    for person in people:
        found += _receipts(stack, person)
    return found


def unbooked(stack: StackPlatform, *, is_exact: bool) -> list[str]:
    """Return the accounts for which LiteLLM's logs differ from the ledger.

    A LiteLLM that was killed has lost what it was about to write: then it may have less.
    """
    ledger = {
        row["account_id"]: int(row["cost"])
        for row in stack.rows(
            "select account_id, sum(cost_nano_usd) as cost from model_calls group by account_id"
        )
    }

    def differing() -> list[str]:
        logs = 'select "user" as id, round(sum(spend)::numeric * 1e9) as cost from logs group by 1'
        gateway = {row["id"]: int(row["cost"]) for row in stack.spend_logs(logs)}
        return [
            f"{account}: {cost} here, {gateway.get(account, 0)} at LiteLLM"
            for account, cost in ledger.items()
            if gateway.get(account, 0) > cost or (is_exact and gateway.get(account, 0) < cost)
        ]

    try:
        # It writes every few seconds.
        wait_for(lambda: not differing(), seconds=_BOOKED_AT_GATEWAY_SECONDS)
    except AssertionError:
        return differing()
    return []


def _budgets(stack: StackPlatform) -> Iterator[str]:
    for row in stack.rows(_BUDGETS):
        if row["spent_nano_usd"] != row["booked"] or row["reserved_nano_usd"]:
            yield (
                f"{row['account_id']}: budget says {row['spent_nano_usd']}, calls cost"
                f" {row['booked']}, {row['reserved_nano_usd']} reserved"
            )


def _receipts(stack: StackPlatform, person: Person) -> Iterator[str]:
    costs = {row["turn_id"]: int(row["cost"]) for row in stack.rows(_BY_TURN, person.id)}
    total = _nano_usd(person.get("/user/usage")["totals"]["cost_usd"])
    if total != sum(costs.values()):
        yield f"{person.name}: usage says {total}, the calls cost {sum(costs.values())}"
    for turn_id, cost in costs.items():
        if turn_id is None:
            continue
        turn = person.turn(turn_id)
        listed = sum(_nano_usd(call["cost_usd"]) for call in turn["calls"])
        if not cost == listed == _nano_usd(turn["usage"]["cost_usd"]):
            yield f"turn {turn_id}: receipt says {turn['usage']}, its calls cost {cost}, {listed}"


def _nano_usd(told: str) -> int:
    return int(Decimal(told).scaleb(9))
