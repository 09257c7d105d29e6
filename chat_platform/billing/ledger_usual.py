"""The usual case of the ledger in one step: a call that is affordable, and its orderly end.

Each entry takes one statement, which finds by itself whether the case is usual. Any other entry is
left to the full plan (`ledger_writes`): a refusal, a first call, a new period, a correction. Both
lock the account's budget before they touch its calls.
"""

from typing import Literal, TypeGuard

from chat_platform.billing.ledger_rows import (
    LEASE_SECONDS,
    MAX_COST_NANO_USD,
    MAX_TOKENS,
    Entry,
    Intent,
    Opened,
    Refused,
    Renewal,
    Settlement,
    sane_tokens,
)
from chat_platform.database.group_commit.statements import (
    Again,
    Params,
    Plan,
    Planner,
    Rows,
    Statement,
    Step,
)
from chat_platform.values.ids import AccountId

_LEASE_MS = LEASE_SECONDS * 1000

# In a stable order, so that processes that share accounts cannot deadlock.
_LOCK = Statement(
    "select account_id from budgets where account_id in :account_ids"
    " order by account_id for update",
    only_locks=True,
)
_INSERT = (
    "insert into model_calls (id, account_id, agent_id, turn_id, kind, model, state,"
    " prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano_usd,"
    " cost_source, reserved_nano_usd, period_start_ms, owner, lease_until_ms, started_at_ms)"
    " select cast(:call_id as text), a.id, g.agent_id, t.id,"
    " case when t.id is null then 'background' else cast(:kind as text) end,"
    " cast(:model as text), 'dispatched', cast(:prompt_tokens as bigint), 0, 0, 0, 0, 'pending',"
    " cast(:held as bigint), b.period_start_ms, cast(:owner as text),"
    " :database_now_ms + cast(:lease_ms as bigint), cast(:now_ms as bigint)"
    " from budgets b join accounts a on a.id = b.account_id join agents g on g.account_id = a.id"
    " left join turns t on t.account_id = a.id and t.status = 'running'"
    " where b.account_id = :account_id and g.agent_id = :agent_id"
    " and a.billing_key_version = :key_version"
    " and a.disabled_at_ms is null and a.deleting_at_ms is null"
    " and t.cancel_requested_at_ms is null"
    " and b.period_start_ms <= :now_ms and b.period_end_ms > :now_ms"
    " and b.spent_nano_usd + :least <= b.limit_nano_usd"
    " and b.spent_nano_usd + b.reserved_nano_usd + :held <= b.limit_nano_usd"
    # Outside a turn only this share; limit * percent could be too large for a column.
    " and (t.id is not null or (b.background_spent_nano_usd + :least <="
    " b.limit_nano_usd / 100 * :background_percent"
    " + b.limit_nano_usd % 100 * :background_percent / 100"
    " and b.background_spent_nano_usd + b.background_reserved_nano_usd + :held <="
    " b.limit_nano_usd / 100 * :background_percent"
    " + b.limit_nano_usd % 100 * :background_percent / 100))"
    " and ((t.id is not null and not (t.kind = 'memory' and :kind = 'chat'))"
    " or not exists (select 1 from turns loose where loose.account_id = a.id"
    " and loose.run_until_ms > :database_now_ms))"
)
_HOLD = (
    "update budgets set open_calls = budgets.open_calls + 1,"
    " reserved_nano_usd = budgets.reserved_nano_usd + c.reserved_nano_usd,"
    " background_reserved_nano_usd = budgets.background_reserved_nano_usd"
    " + case when c.kind = 'background' then c.reserved_nano_usd else 0 end from {calls} c"
)
_OPEN = Statement(
    f"with opened as ({_INSERT} returning account_id, turn_id, kind, reserved_nano_usd),"  # noqa: S608
    f" held as ({_HOLD.format(calls='opened')} where budgets.account_id = c.account_id)"
    " select turn_id from opened",
    # There, `returning` costs more than another statement.
    sqlite=(
        _INSERT,
        f"{_HOLD.format(calls='model_calls')}"
        " where c.id = :call_id and budgets.account_id = c.account_id",
        "select turn_id from model_calls where id = :call_id",
    ),
)
_CHARGE = (
    "update budgets set open_calls = budgets.open_calls - 1,"
    " reserved_nano_usd = budgets.reserved_nano_usd - c.reserved_nano_usd,"
    " spent_nano_usd = budgets.spent_nano_usd + cast(:cost as bigint),"
    " background_reserved_nano_usd = budgets.background_reserved_nano_usd"
    " - case when c.kind = 'background' then c.reserved_nano_usd else 0 end,"
    " background_spent_nano_usd = budgets.background_spent_nano_usd"
    " + case when c.kind = 'background' then cast(:cost as bigint) else 0 end"
    " from model_calls c where c.id = :call_id and c.state = 'dispatched'"
    " and budgets.account_id = c.account_id and budgets.account_id = :account_id"
    " and budgets.period_start_ms = c.period_start_ms"
)
_CLOSE = (
    "update model_calls set state = :state, prompt_tokens = :prompt_tokens,"
    " completion_tokens = :completion_tokens, cached_tokens = :cached_tokens,"
    " reasoning_tokens = :reasoning_tokens, cost_nano_usd = :cost, cost_source = :cost_source,"
    " upstream_status = :upstream_status, error_code = :error_code,"
    " gateway_call_id = :gateway_call_id, response_id = :response_id,"
    " first_byte_ms = :first_byte_ms, total_ms = :total_ms"
    " where id = :call_id and account_id = :account_id and state = 'dispatched'"
    " and period_start_ms = (select b.period_start_ms from budgets b"
    " where b.account_id = :account_id)"
)
_SETTLE = Statement(
    f"with charged as ({_CHARGE}) {_CLOSE} returning id",
    sqlite=(_CHARGE, _CLOSE, "select 1 where changes() > 0"),
)

_Result = Opened | Refused | bool


def book_usual(
    entries: list[Entry],
    otherwise: Planner[Entry, _Result],
    *,
    in_groups: bool = True,
    may_settlements_lag: bool = False,
) -> Plan[_Result | Again]:
    """Write the usual ones among the entries; all others get the plan `otherwise`, in order.

    So does what follows an account's first entry: it must not overtake one that is not usual.
    Unless `in_groups`, several entries get it, which reads and writes for all of them together.
    If `may_settlements_lag`, settlements among themselves wait for no disk: a lost one is booked
    by its call's estimate, as after the death of a process. An intent always waits.
    """
    if len(entries) > 1 and not in_groups:
        return (yield from otherwise(entries))
    again = Again(otherwise)
    usual = _firsts(entries)
    if not usual:
        return [again] * len(entries)
    are_settlements = all(isinstance(entry, Settlement) for entry in usual.values())
    step = Step(is_last=True, may_lag=may_settlements_lag and are_settlements)
    step.add(_LOCK, account_ids=sorted(usual))
    for entry in usual.values():
        step.queries.append(_opening(entry) if isinstance(entry, Intent) else _settling(entry))
    _locked, *found = yield step
    told = zip(usual.values(), found, strict=True)
    results = {id(entry): _result(entry, rows) for entry, rows in told}
    return [results.get(id(entry)) or again for entry in entries]


def _firsts(entries: list[Entry]) -> dict[AccountId, Intent | Settlement]:
    """Return the first entry of each account, if it may be usual."""
    firsts: dict[AccountId, Entry] = {}
    for entry in entries:
        if not isinstance(entry, Renewal):
            firsts.setdefault(entry.account_id, entry)
    return {account_id: entry for account_id, entry in firsts.items() if _may_be_usual(entry)}


def _may_be_usual(entry: Entry) -> TypeGuard[Intent | Settlement]:
    if isinstance(entry, Intent):
        return entry.worst_case_nano_usd <= MAX_COST_NANO_USD
    return isinstance(entry, Settlement) and 0 <= entry.cost_nano_usd <= MAX_COST_NANO_USD


def _result(entry: Intent | Settlement, rows: Rows) -> Opened | Literal[True] | None:
    if not rows:
        return None
    return Opened(rows[0][0], entry.worst_case_nano_usd) if isinstance(entry, Intent) else True


def _opening(intent: Intent) -> tuple[Statement, Params]:
    params: Params = {
        "call_id": intent.call_id,
        "account_id": intent.account_id,
        "agent_id": intent.agent_id,
        "key_version": intent.key_version,
        "kind": intent.kind,
        "model": intent.model,
        "prompt_tokens": min(intent.prompt_tokens, MAX_TOKENS),
        "held": intent.worst_case_nano_usd,
        "least": max(1, intent.least_nano_usd),
        "background_percent": intent.terms.background_percent,
        "owner": intent.owner,
        "lease_ms": _LEASE_MS,
        "now_ms": intent.now_ms,
    }
    return _OPEN, params


def _settling(entry: Settlement) -> tuple[Statement, Params]:
    tokens = sane_tokens(entry.tokens)
    params: Params = {
        "call_id": entry.call_id,
        "account_id": entry.account_id,
        "state": entry.state,
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "cached_tokens": tokens.cached,
        "reasoning_tokens": tokens.reasoning,
        "cost": entry.cost_nano_usd,
        "cost_source": entry.cost_source,
        "upstream_status": entry.upstream_status,
        "error_code": entry.error_code,
        "gateway_call_id": entry.gateway_call_id,
        "response_id": entry.response_id,
        "first_byte_ms": entry.first_byte_ms,
        "total_ms": entry.total_ms,
    }
    return _SETTLE, params
