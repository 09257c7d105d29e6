"""The ledger's SQL, for SQLite and Postgres. Which statement runs when is in `ledger_writes`."""

from chat_platform.billing.ledger_rows import CallRow
from chat_platform.billing.period_sums import PERIOD_SUMS, TAKE_CALLS
from chat_platform.database.group_commit.statements import Statement

PAYERS = Statement(
    "select a.id, a.billing_key_version, a.disabled_at_ms, a.deleting_at_ms, g.agent_id,"
    " t.id, t.kind, t.cancel_requested_at_ms, (select max(loose.run_until_ms) from turns loose"
    " where loose.account_id = a.id and loose.run_until_ms > :database_now_ms)"
    " from accounts a join agents g on g.account_id = a.id"
    " left join turns t on t.account_id = a.id and t.status = 'running'"
    " where a.id in :account_ids"
)
# In a stable order, so that processes that share accounts cannot deadlock.
BUDGETS = Statement(
    "select account_id, limit_nano_usd, period, period_start_ms, period_end_ms, spent_nano_usd,"
    " reserved_nano_usd, open_calls, background_spent_nano_usd, background_reserved_nano_usd,"
    " earlier_nano_usd from budgets where account_id in :account_ids order by account_id for update"
)
NEW_BUDGET = Statement(
    "insert into budgets (account_id, limit_nano_usd, period, period_start_ms, period_end_ms,"
    " spent_nano_usd, reserved_nano_usd, open_calls, background_spent_nano_usd,"
    " background_reserved_nano_usd, earlier_nano_usd) values (:account_id, :limit_nano_usd,"
    " :period, :period_start_ms, :period_end_ms, 0, 0, 0, 0, 0, 0) on conflict do nothing"
)
SAVE_BUDGET = Statement(
    "update budgets set period_start_ms = :period_start_ms, period_end_ms = :period_end_ms,"
    " spent_nano_usd = :spent_nano_usd, reserved_nano_usd = :reserved_nano_usd,"
    " open_calls = :open_calls, background_spent_nano_usd = :background_spent_nano_usd,"
    " background_reserved_nano_usd = :background_reserved_nano_usd,"
    " earlier_nano_usd = :earlier_nano_usd where account_id = :account_id"
)
NEW_CALL = Statement(
    "insert into model_calls (id, account_id, agent_id, turn_id, kind, model, state,"
    " prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano_usd,"
    " cost_source, reserved_nano_usd, period_start_ms, owner, lease_until_ms, started_at_ms)"
    " values (:id, :account_id, :agent_id, :turn_id, :kind, :model, 'dispatched', :prompt_tokens,"
    " 0, 0, 0, 0, 'pending', :held, :period_start_ms, :owner,"
    " :database_now_ms + :lease_ms, :started_at_ms)"
)
CALLS = Statement(
    f"select {', '.join(CallRow._fields)} from model_calls where id in :call_ids"  # noqa: S608
)
SAVE_CALL = Statement(
    "update model_calls set state = :state, prompt_tokens = :prompt_tokens,"
    " completion_tokens = :completion_tokens, cached_tokens = :cached_tokens,"
    " reasoning_tokens = :reasoning_tokens, cost_nano_usd = :cost_nano_usd,"
    " cost_source = :cost_source, upstream_status = :upstream_status, error_code = :error_code,"
    " gateway_call_id = :gateway_call_id, response_id = :response_id,"
    " first_byte_ms = :first_byte_ms, total_ms = :total_ms where id = :id"
)
OWN_CALLS = Statement(
    "select id, turn_id, reserved_nano_usd from model_calls"
    " where id in :call_ids and state = 'dispatched'"
)
RENEW = Statement(
    "update model_calls set lease_until_ms = :database_now_ms + :lease_ms"
    " where id in :call_ids and state = 'dispatched'"
)

COUNT_PERIOD, TAKE_PERIODS_CALLS = Statement(PERIOD_SUMS), Statement(TAKE_CALLS)
