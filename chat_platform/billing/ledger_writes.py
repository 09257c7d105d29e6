"""The ledger's one write path: every change of a call and of its budget goes through `booking`.

The usual case takes a shorter way to the same effect (`ledger_usual`). `book` plans any number of
entries in one transaction. It reads and writes rows by key only, so its time does not grow with
the ledger.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from chat_platform.billing import ledger_statements as sql
from chat_platform.billing.ledger_rows import (
    LEASE_SECONDS,
    MAX_COST_NANO_USD,
    MAX_TOKENS,
    CallRow,
    Correction,
    Entry,
    Expiry,
    GivenUp,
    Intent,
    Opened,
    Refused,
    Renewal,
    Settlement,
    sane_tokens,
)
from chat_platform.billing.ledger_usual import book_usual
from chat_platform.billing.period_sums import of_period
from chat_platform.billing.platform_bookings import PlatformBookings
from chat_platform.billing.platform_caps import NO_CAPS, Caps, caps_of, day_of
from chat_platform.billing.reservations import (
    Counters,
    charged,
    closed,
    first_counters,
    is_in_period,
    just_before,
    opened,
    renewed,
    reservation,
)
from chat_platform.database.group_commit.statements import (
    Params,
    Plan,
    Planner,
    Rows,
    Step,
)
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId, CallId, TurnId

_LEASE_MS = LEASE_SECONDS * 1000

_ChangedEntry = Settlement | Expiry | Correction | GivenUp


def booking(settings: Settings) -> Planner[Entry, Opened | Refused | bool]:
    """Return the planner that writes entries under these settings."""
    return _booking(
        caps_of(settings),
        is_on_sqlite=settings.is_on_sqlite,
        may_settlements_lag=settings.durability == "relaxed",
    )


@cache
def _booking(
    caps: Caps, *, is_on_sqlite: bool, may_settlements_lag: bool
) -> Planner[Entry, Opened | Refused | bool]:
    """The same object for the same settings: entries with the same planner share a transaction."""
    full = partial(book, caps=caps)
    # On Postgres the usual way saves a round trip; on SQLite, statements are what counts, and
    # during each of them another thread may take the interpreter.
    usual = partial(
        book_usual,
        otherwise=full,
        in_groups=not is_on_sqlite,
        may_settlements_lag=may_settlements_lag,
    )
    return full if caps.are_set else usual


def book(entries: list[Entry], caps: Caps = NO_CAPS) -> Plan[Opened | Refused | bool]:
    """Write all entries, in order. Intents give Opened or Refused, others whether they applied."""
    return _Booking(entries, caps).plan()


def find_open(asked: list[CallId]) -> Plan[Opened | None]:
    """Find which of these calls are open: the only way to tell whether an intent was committed
    if the answer to its COMMIT was lost."""
    step = Step(is_last=True)
    step.add(sql.OWN_CALLS, call_ids=list(dict.fromkeys(asked)))
    [rows] = yield step
    found = {row[0]: Opened(row[1], row[2]) for row in rows}
    return [found.get(call_id) for call_id in asked]


class _Booking:
    """The rows that one group of entries touches, read once and written once."""

    def __init__(self, entries: list[Entry], caps: Caps) -> None:
        self._entries = entries
        self._platform = PlatformBookings(caps)
        self._intents = [entry for entry in entries if isinstance(entry, Intent)]
        self._payers: dict[str, Sequence[Any]] = {}
        self._stored: dict[str, Counters] = {}
        self._budgets: dict[str, Counters] = {}
        self._calls: dict[str, CallRow] = {}
        self._new_calls: list[Params] = []
        self._changed: dict[str, CallRow] = {}

    def plan(self) -> Plan[Opened | Refused | bool]:
        reads = self._reads()
        self._note(reads, (yield reads))
        if new := self._new_budgets():
            self._note(new, (yield new))
        yield from self._platform.read(self._intents, self._calls.values())
        self._budgets = dict(self._stored)
        results: list[Opened | Refused | bool] = []
        for entry in self._entries:
            if isinstance(entry, Intent):
                entry = self._within_period(entry)
                yield from self._bring_to_period(entry)
            results.append(self._result(entry))
        yield self._writes()
        return results

    def _reads(self) -> Step:
        payers = list({intent.account_id for intent in self._intents})
        changes = (entry for entry in self._entries if not isinstance(entry, Intent | Renewal))
        calls = [entry.call_id for entry in changes]
        step = Step()
        step.add(sql.BUDGETS, account_ids=self._account_ids())
        if payers:
            step.add(sql.PAYERS, account_ids=payers)
        if calls:
            step.add(sql.CALLS, call_ids=calls)
        return step

    def _new_budgets(self) -> Step | None:
        """Create the budgets of accounts that call for the first time, then read them all again:
        another process may be creating them too."""
        # The last one counts: the earliest call begins the budget's period.
        latest_first = sorted(self._intents, key=lambda intent: -intent.now_ms)
        new = {i.account_id: i for i in latest_first if i.account_id not in self._stored}
        known = sorted(new.keys() & self._payers.keys())
        if not known:
            return None
        step = Step()
        for account_id in known:
            step.add(sql.NEW_BUDGET, **_first_budget(new[account_id])._asdict())
        step.add(sql.BUDGETS, account_ids=self._account_ids())
        return step

    def _note(self, step: Step, found: list[Rows]) -> None:
        for (statement, _), rows in zip(step.queries, found, strict=True):
            if statement is sql.BUDGETS:
                self._stored = {row[0]: Counters(*row) for row in rows}
            elif statement is sql.PAYERS:
                self._payers = {row[0]: row for row in rows}
            elif statement is sql.CALLS:
                self._calls = {row[0]: CallRow(*row) for row in rows}

    def _within_period(self, intent: Intent) -> Intent:
        """Begin the call with its period, if it comes from a clock that is a little behind.

        Otherwise the budget would move back, and its other calls would count elsewhere.
        """
        counters = self._budgets.get(intent.account_id)
        if counters is None or not just_before(counters, intent.now_ms):
            return intent
        start_ms = counters.period_start_ms
        # The platform counts by day, and has read only the day that the intent named.
        is_same_day = day_of(start_ms) == day_of(intent.now_ms)
        return replace(intent, now_ms=start_ms) if is_same_day else intent

    def _bring_to_period(self, intent: Intent) -> Plan[None]:
        """Move the budget to the period that contains the call, with the ledger's sums for it."""
        counters = self._budgets.get(intent.account_id)
        if counters is None or is_in_period(counters, intent.now_ms):
            return []
        moved = renewed(counters, intent.now_ms)
        # So that this group's own changes are counted.
        step = self._call_writes(Step())
        step.add(sql.TAKE_PERIODS_CALLS, **of_period(moved))
        step.add(sql.COUNT_PERIOD, **of_period(moved))
        [*_, [sums]] = yield step
        self._budgets[intent.account_id] = moved.counted(*sums)
        self._take_calls(moved)
        return []

    def _take_calls(self, counters: Counters) -> None:
        """Repeat in the rows in memory what was done in the database."""
        for call_id, row in self._calls.items():
            is_own = row.account_id == counters.account_id
            if is_own and is_in_period(counters, row.started_at_ms):
                self._calls[call_id] = row._replace(period_start_ms=counters.period_start_ms)

    def _call_writes(self, step: Step) -> Step:
        """Add the writes of new and changed calls, each only once."""
        for call in self._new_calls:
            step.add(sql.NEW_CALL, **call)
        for row in self._changed.values():
            step.add(sql.SAVE_CALL, **row._asdict())
        self._new_calls.clear()
        self._changed.clear()
        return step

    def _writes(self) -> Step:
        step = self._call_writes(Step(is_last=True))
        for entry in self._entries:
            if isinstance(entry, Renewal):
                step.add(sql.RENEW, lease_ms=_LEASE_MS, call_ids=entry.call_ids)
        for account_id, counters in self._budgets.items():
            if counters is not self._stored[account_id]:
                step.add(sql.SAVE_BUDGET, **counters._asdict())
        self._platform.write(step)
        return step

    def _account_ids(self) -> list[AccountId]:
        return sorted({e.account_id for e in self._entries if not isinstance(e, Renewal)})

    def _result(self, entry: Entry) -> Opened | Refused | bool:
        if isinstance(entry, Intent):
            return self._open(entry)
        return isinstance(entry, Renewal) or self._change(entry)

    def _open(self, intent: Intent) -> Opened | Refused:
        payer = self._payers.get(intent.account_id)
        if payer is None or payer[4] != intent.agent_id:
            return Refused("agent_not_found")
        _, key_version, disabled_at_ms, deleting_at_ms, _, turn_id, *of_turns = payer
        turn_kind, cancelled_at_ms, loose_until_ms = of_turns
        if disabled_at_ms is not None or deleting_at_ms is not None:
            return Refused("account_disabled")
        if key_version != intent.key_version:
            return Refused("key_replaced")
        if cancelled_at_ms is not None:
            return Refused("turn_cancelled")
        # Between messages, only the run of the last message still calls the chat model.
        is_between = turn_id is None or (turn_kind == "memory" and intent.kind == "chat")
        if is_between and loose_until_ms:
            return Refused("turn_over")
        return self._reserve(intent, turn_id)

    def _reserve(self, intent: Intent, turn_id: TurnId | None) -> Opened | Refused:
        counters = self._budgets[intent.account_id]
        is_background = turn_id is None
        cap = counters.limit_nano_usd * intent.terms.background_percent // 100
        held = reservation(
            counters,
            intent.worst_case_nano_usd,
            least_nano_usd=intent.least_nano_usd,
            background_cap_nano_usd=cap if is_background else None,
        )
        if not isinstance(held, int):
            return Refused(held, counters.period_end_ms, counters.spent_nano_usd)
        held = self._platform.reserve(held, intent.now_ms, least_nano_usd=intent.least_nano_usd)
        if isinstance(held, Refused):
            return held
        self._platform.hold(held, intent.now_ms)
        self._budgets[intent.account_id] = opened(counters, held, is_background=is_background)
        self._new_calls.append(_new_call(intent, turn_id, held, counters.period_start_ms))
        return Opened(turn_id, held)

    def _change(self, entry: _ChangedEntry) -> bool:
        before = self._calls.get(entry.call_id)
        after = before and _after(before, entry)
        if before is None or after is None:
            return False
        self._calls[entry.call_id] = self._changed[entry.call_id] = after
        counters = self._budgets.get(before.account_id)
        if counters is not None:
            self._budgets[before.account_id] = _recount(counters, before, after)
        self._platform.change(before, after)
        return True


def _first_budget(intent: Intent) -> Counters:
    return first_counters(
        intent.account_id,
        limit_nano_usd=intent.terms.limit_nano_usd,
        period=intent.terms.period,
        now_ms=intent.now_ms,
    )


def _new_call(intent: Intent, turn_id: TurnId | None, held: int, period_start_ms: int) -> Params:
    return {
        "id": intent.call_id,
        "account_id": intent.account_id,
        "agent_id": intent.agent_id,
        "turn_id": turn_id,
        "kind": "background" if turn_id is None else intent.kind,
        "model": intent.model,
        "prompt_tokens": min(intent.prompt_tokens, MAX_TOKENS),
        "held": held,
        "period_start_ms": period_start_ms,
        "owner": intent.owner,
        "lease_ms": _LEASE_MS,
        "started_at_ms": intent.now_ms,
    }


def _recount(counters: Counters, before: CallRow, after: CallRow) -> Counters:
    is_background = before.kind == "background"
    period_start_ms = before.period_start_ms
    if before.state == "dispatched":
        counters = closed(
            counters,
            before.reserved_nano_usd,
            period_start_ms=period_start_ms,
            is_background=is_background,
        )
    return charged(
        counters,
        after.cost_nano_usd - before.cost_nano_usd,
        period_start_ms=period_start_ms,
        is_background=is_background,
    )


def _after(row: CallRow, entry: _ChangedEntry) -> CallRow | None:
    """Return the row as the entry leaves it; None if the entry comes too late."""
    match entry:
        case Settlement():
            return _settled(row, entry)
        case Expiry():
            is_dead = row.state == "dispatched" and row.lease_until_ms == entry.lease_until_ms
            return _expired(row, entry) if is_dead else None
        case Correction():
            return _corrected(row, entry)
        case GivenUp():
            is_open = row.state == "dispatched" or row.cost_source != "pending"
            return None if is_open else row._replace(cost_source="estimated")


def _expired(row: CallRow, entry: Expiry) -> CallRow:
    return row._replace(state="unknown", cost_source="estimated", cost_nano_usd=entry.cost_nano_usd)


def _settled(row: CallRow, entry: Settlement) -> CallRow | None:
    # `unknown`: its process was slow, and another took it for dead. Its settlement still counts.
    if row.state not in ("dispatched", "unknown") or row.cost_source == "reconciled":
        return None
    tokens = sane_tokens(entry.tokens)
    is_sane = 0 <= entry.cost_nano_usd <= MAX_COST_NANO_USD
    return row._replace(
        state=entry.state,
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        cached_tokens=tokens.cached,
        reasoning_tokens=tokens.reasoning,
        # An impossible cost is ignored: the worst case becomes our estimate.
        cost_nano_usd=entry.cost_nano_usd if is_sane else row.reserved_nano_usd,
        cost_source=entry.cost_source if is_sane else "estimated",
        upstream_status=entry.upstream_status,
        error_code=entry.error_code,
        gateway_call_id=entry.gateway_call_id,
        response_id=entry.response_id,
        first_byte_ms=entry.first_byte_ms,
        total_ms=entry.total_ms,
    )


def _corrected(row: CallRow, entry: Correction) -> CallRow | None:
    if row.state == "dispatched" or row.cost_source not in ("pending", "estimated"):
        return None
    state = row.state
    if state == "unknown":
        state = "settled" if entry.is_success else "failed"
    return row._replace(
        state=state,
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
        cost_nano_usd=entry.cost_nano_usd,
        cost_source="reconciled",
        response_id=row.response_id or entry.response_id,
    )
