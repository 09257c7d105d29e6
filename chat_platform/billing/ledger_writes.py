"""The ledger's one write path: every change of a call and of its budget goes through `book`.

A plan for many entries in one transaction. It reads and writes rows by key only, so its time does
not grow with the ledger.
"""

from collections.abc import Sequence
from typing import Any

from chat_platform.billing.ledger_rows import (
    LEASE_SECONDS,
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
)
from chat_platform.billing.reservations import (
    Counters,
    charged,
    closed,
    first_counters,
    opened,
    renewed,
    reservation,
)
from chat_platform.group_commit.statements import Params, Plan, Rows, Statement, Step
from chat_platform.ids import AccountId, TurnId

_PAYERS = Statement(
    "select a.id, a.billing_key_version, a.disabled_at_ms, a.deleting_at_ms, g.agent_id,"
    " t.id, t.cancel_requested_at_ms"
    " from accounts a join agents g on g.account_id = a.id"
    " left join turns t on t.account_id = a.id and t.status = 'running'"
    " where a.id in :account_ids"
)
# In a stable order: processes that share accounts then wait for one another, and never in a ring.
_BUDGETS = Statement(
    "select account_id, limit_nano_usd, period, period_start_ms, period_end_ms, spent_nano_usd,"
    " reserved_nano_usd, open_calls, background_spent_nano_usd, background_reserved_nano_usd"
    " from budgets where account_id in :account_ids order by account_id for update"
)
_NEW_BUDGET = Statement(
    "insert into budgets (account_id, limit_nano_usd, period, period_start_ms, period_end_ms,"
    " spent_nano_usd, reserved_nano_usd, open_calls, background_spent_nano_usd,"
    " background_reserved_nano_usd) values (:account_id, :limit_nano_usd, :period,"
    " :period_start_ms, :period_end_ms, 0, 0, 0, 0, 0) on conflict do nothing"
)
_SAVE_BUDGET = Statement(
    "update budgets set period_start_ms = :period_start_ms, period_end_ms = :period_end_ms,"
    " spent_nano_usd = :spent_nano_usd, reserved_nano_usd = :reserved_nano_usd,"
    " open_calls = :open_calls, background_spent_nano_usd = :background_spent_nano_usd,"
    " background_reserved_nano_usd = :background_reserved_nano_usd"
    " where account_id = :account_id"
)
_NEW_CALL = Statement(
    "insert into model_calls (id, account_id, agent_id, turn_id, kind, model, state,"
    " prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano_usd,"
    " cost_source, reserved_nano_usd, period_start_ms, owner, lease_until_ms, started_at_ms)"
    " values (:id, :account_id, :agent_id, :turn_id, :kind, :model, 'dispatched', 0, 0, 0, 0, 0,"
    " 'pending', :held, :period_start_ms, :owner, :lease_until_ms, :started_at_ms)"
)
_CALLS = Statement(
    f"select {', '.join(CallRow._fields)} from model_calls where id in :call_ids"  # noqa: S608
)
_SAVE_CALL = Statement(
    "update model_calls set state = :state, prompt_tokens = :prompt_tokens,"
    " completion_tokens = :completion_tokens, cached_tokens = :cached_tokens,"
    " reasoning_tokens = :reasoning_tokens, cost_nano_usd = :cost_nano_usd,"
    " cost_source = :cost_source, upstream_status = :upstream_status, error_code = :error_code,"
    " gateway_call_id = :gateway_call_id, response_id = :response_id,"
    " first_byte_ms = :first_byte_ms, total_ms = :total_ms where id = :id"
)
_RENEW = Statement(
    "update model_calls set lease_until_ms = :lease_until_ms"
    " where id in :call_ids and state = 'dispatched'"
)

_ChangedEntry = Settlement | Expiry | Correction | GivenUp


def book(entries: list[Entry]) -> Plan[Opened | Refused | bool]:
    """Write all entries, in order. An Intent gives Opened or Refused; others, if they applied."""
    return _Booking(entries).plan()


class _Booking:
    """The rows that one group of entries touches, read once and written once."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
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
        self._budgets = dict(self._stored)
        results = [self._result(entry) for entry in self._entries]
        yield self._writes()
        return results

    def _reads(self) -> Step:
        payers = list({intent.account_id for intent in self._intents})
        changes = (entry for entry in self._entries if not isinstance(entry, Intent | Renewal))
        calls = [entry.call_id for entry in changes]
        step = Step()
        step.add(_BUDGETS, account_ids=self._account_ids())
        if payers:
            step.add(_PAYERS, account_ids=payers)
        if calls:
            step.add(_CALLS, call_ids=calls)
        return step

    def _new_budgets(self) -> Step | None:
        """Make the budgets of accounts that call for the first time, and read them again: another
        process may be making them too."""
        new = {i.account_id: i for i in self._intents if i.account_id not in self._stored}
        known = sorted(new.keys() & self._payers.keys())
        if not known:
            return None
        step = Step()
        for account_id in known:
            step.add(_NEW_BUDGET, **_first_budget(new[account_id])._asdict())
        step.add(_BUDGETS, account_ids=self._account_ids())
        return step

    def _note(self, step: Step, found: list[Rows]) -> None:
        for (statement, _), rows in zip(step.queries, found, strict=True):
            if statement is _BUDGETS:
                self._stored = {row[0]: Counters(*row) for row in rows}
            elif statement is _PAYERS:
                self._payers = {row[0]: row for row in rows}
            elif statement is _CALLS:
                self._calls = {row[0]: CallRow(*row) for row in rows}

    def _writes(self) -> Step:
        step = Step(is_last=True)
        for call in self._new_calls:
            step.add(_NEW_CALL, **call)
        for row in self._changed.values():
            step.add(_SAVE_CALL, **row._asdict())
        for entry in self._entries:
            if isinstance(entry, Renewal):
                step.add(_RENEW, lease_until_ms=entry.lease_until_ms, call_ids=entry.call_ids)
        for account_id, counters in self._budgets.items():
            if counters is not self._stored[account_id]:
                step.add(_SAVE_BUDGET, **counters._asdict())
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
        _, key_version, disabled_at_ms, deleting_at_ms, _, turn_id, cancelled_at_ms = payer
        if disabled_at_ms is not None or deleting_at_ms is not None:
            return Refused("account_disabled")
        if key_version != intent.key_version:
            return Refused("key_replaced")
        if cancelled_at_ms is not None:
            return Refused("turn_cancelled")
        return self._reserve(intent, TurnId(turn_id) if turn_id else None)

    def _reserve(self, intent: Intent, turn_id: TurnId | None) -> Opened | Refused:
        counters = renewed(self._budgets[intent.account_id], intent.now_ms)
        is_background = turn_id is None
        cap = counters.limit_nano_usd * intent.terms.background_percent // 100
        held = reservation(
            counters,
            intent.worst_case_nano_usd,
            background_cap_nano_usd=cap if is_background else None,
        )
        if not isinstance(held, int):
            return Refused(held, counters.period_end_ms, counters.spent_nano_usd)
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
        "held": held,
        "period_start_ms": period_start_ms,
        "owner": intent.owner,
        "lease_until_ms": intent.now_ms + LEASE_SECONDS * 1000,
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
    """Return the row as the entry leaves it, None when it is too late for that entry."""
    match entry:
        case Settlement():
            return _settled(row, entry)
        case Expiry():
            is_dead = row.state == "dispatched" and row.lease_until_ms < entry.now_ms
            return row._replace(state="unknown", cost_source="estimated") if is_dead else None
        case Correction():
            return _corrected(row, entry)
        case GivenUp():
            is_open = row.state == "dispatched" or row.cost_source != "pending"
            return None if is_open else row._replace(cost_source="estimated")


def _settled(row: CallRow, entry: Settlement) -> CallRow | None:
    # `unknown`: its process was so slow that another took it for dead. What it says still counts.
    if row.state not in ("dispatched", "unknown") or row.cost_source == "reconciled":
        return None
    return row._replace(
        state=entry.state,
        prompt_tokens=entry.tokens.prompt,
        completion_tokens=entry.tokens.completion,
        cached_tokens=entry.tokens.cached,
        reasoning_tokens=entry.tokens.reasoning,
        cost_nano_usd=entry.cost_nano_usd,
        cost_source=entry.cost_source,
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
