"""Relays calls like `Relay`, and records their spans. Used only if somebody collects traces."""

import time

from sqlmodel import col, select

from chat_platform.billing.ledger_rows import Settlement
from chat_platform.billing.open_calls import OpenCall
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Turn
from chat_platform.ports import TraceCollector
from chat_platform.proxy.relay import PaidCall, Relay, word_of
from chat_platform.values.ids import CallId, TurnId
from chat_platform.values.spans import (
    Attribute,
    Span,
    call_span,
    gateway_span,
    made_at_ns,
    run_span,
)


class TracedRelay(Relay):
    """The gateway learns the span of its request, and can continue the trace."""

    def _headers(self) -> list[tuple[str, str]]:
        paid = self._paid
        span_id = gateway_span(paid.call.call_id, paid.turn_id)
        return [*super()._headers(), ("traceparent", _collector(self._ctx).traceparent(span_id))]

    def _book(self, settlement: Settlement) -> None:
        super()._book(settlement)
        collector, now = _collector(self._ctx), time.time_ns()
        collector.record(_gateway_request(self._paid, settlement, now))
        collector.record(_model_call(self._paid, settlement, now))


async def trace_refused(ctx: AppContext, call: OpenCall, reason: str) -> None:
    """Record a call that the ledger refused: it belongs to what its account is running."""
    query = select(col(Turn.id)).where(
        col(Turn.account_id) == call.account_id,
        col(Turn.status) == "running",
        col(Turn.kind) == "message",
    )
    async with reading(ctx.engine) as session:
        turn_id = (await session.exec(query)).first()
    attributes = _ids(call, turn_id)
    span = _call(call.call_id, turn_id, time.time_ns(), error=reason, attributes=attributes)
    _collector(ctx).record(span)


def _model_call(paid: PaidCall, settlement: Settlement, now: int) -> Span:
    call, request = paid.call, paid.request
    attributes: dict[str, Attribute | None] = {
        **_ids(call, paid.turn_id),
        "gen_ai.operation.name": "embeddings" if request.endpoint == "embeddings" else "chat",
        "gen_ai.request.model": request.model,
        "gen_ai.usage.input_tokens": settlement.tokens.prompt,
        "gen_ai.usage.output_tokens": settlement.tokens.completion,
        "chat_platform.cost_nano_usd": settlement.cost_nano_usd,
        "chat_platform.cost_source": settlement.cost_source,
        "chat_platform.status": settlement.state,
    }
    return _call(
        call.call_id, paid.turn_id, now, error=word_of(settlement.error_code), attributes=attributes
    )


def _call(
    call_id: CallId,
    turn_id: TurnId | None,
    now: int,
    *,
    error: str | None,
    attributes: dict[str, Attribute | None],
) -> Span:
    """A request of the agent server's: its run is the parent, though it does not say so."""
    parent = run_span(turn_id) if turn_id else None
    began = made_at_ns(call_id)
    return Span(
        "model call", call_span(call_id, turn_id), parent, began, now, "server", error, attributes
    )


def _gateway_request(paid: PaidCall, settlement: Settlement, now: int) -> Span:
    call_id, turn_id = paid.call.call_id, paid.turn_id
    return Span(
        "gateway request",
        gateway_span(call_id, turn_id),
        call_span(call_id, turn_id),
        now - settlement.total_ms * 1_000_000,
        now,
        "client",
        word_of(settlement.error_code),
        {
            "chat_platform.call_id": call_id,
            "chat_platform.first_byte_ms": settlement.first_byte_ms,
            "http.request.method": "POST",
            "http.response.status_code": settlement.upstream_status,
        },
    )


def _ids(call: OpenCall, turn_id: TurnId | None) -> dict[str, Attribute | None]:
    return {
        "chat_platform.call_id": call.call_id,
        "chat_platform.account_id": call.account_id,
        "chat_platform.agent_id": call.agent_id,
        "chat_platform.turn_id": turn_id,
    }


def _collector(ctx: AppContext) -> TraceCollector:
    assert ctx.traces
    return ctx.traces
