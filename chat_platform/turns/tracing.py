"""Records the spans of a turn, if somebody collects them: its request, the turn, the agent's run.

The spans of its model calls are recorded where they are made. A turn never fails because of these.
"""

import time
from collections.abc import Mapping

from structlog.contextvars import get_contextvars

from chat_platform.billing.receipts import TurnUsage, usage_of
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY
from chat_platform.database.engine import reading
from chat_platform.models import Turn
from chat_platform.turns.agent_run import AgentRun
from chat_platform.values.ids import AccountId, TurnId
from chat_platform.values.spans import Attribute, Span, request_span, run_span, turn_span


def trace_request(
    ctx: AppContext,
    name: str,
    *,
    began_ns: int,
    error: str | None = None,
    attributes: Mapping[str, Attribute] | None = None,
) -> None:
    """Record the current request, or a page's event, if it has started a turn."""
    named = get_contextvars()
    turn_id: TurnId | None = named.get("turn_id")
    if turn_id is None or ctx.traces is None:
        return
    ids = {f"chat_platform.{id_}": named.get(id_) for id_ in ("request_id", "account_id")}
    told = {**ids, "chat_platform.turn_id": turn_id, **(attributes or {})}
    now = time.time_ns()
    ctx.traces.record(Span(name, request_span(turn_id), None, began_ns, now, "server", error, told))


async def trace_turn(ctx: AppContext, turn_id: TurnId) -> None:
    """Record a turn that has just ended, with what it cost as far as that is known."""
    if ctx.traces is None:
        return
    try:
        async with reading(ctx.engine) as session:
            turn = await session.get(Turn, turn_id)
        usage = await usage_of(ctx, turn_id)
    except AWAY:
        return
    if turn:
        ctx.traces.record(_turn(turn, usage))


def trace_run(run: AgentRun, account_id: AccountId, error: str | None) -> None:
    """Record the agent's run, as the call of the agent server that it is."""
    collector = run.ctx.traces
    if collector is None or not run.began_ns:
        return
    attributes = {
        "chat_platform.turn_id": run.turn_id,
        "chat_platform.account_id": account_id,
        "chat_platform.agent_id": run.agent_id,
        "chat_platform.run_id": run.run_id,
        "gen_ai.operation.name": "invoke_agent",
    }
    span_id, parent, now = run_span(run.turn_id), turn_span(run.turn_id), time.time_ns()
    collector.record(
        Span("agent run", span_id, parent, run.began_ns, now, "client", error, attributes)
    )


def _turn(turn: Turn, usage: TurnUsage) -> Span:
    return Span(
        "turn",
        turn_span(turn.id),
        request_span(turn.id),
        turn.created_at_ms * 1_000_000,
        time.time_ns(),
        error=turn.error_code,
        attributes={
            "chat_platform.turn_id": turn.id,
            "chat_platform.account_id": turn.account_id,
            "chat_platform.conversation_id": turn.conversation_id,
            "chat_platform.status": turn.status,
            "chat_platform.model_calls": usage.model_calls,
            "chat_platform.cost_nano_usd": usage.cost_nano_usd,
            "chat_platform.pending_calls": usage.pending_calls,
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
        },
    )
