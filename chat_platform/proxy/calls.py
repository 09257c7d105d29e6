"""Decides whether a call may be made, and has it paid and relayed."""

import asyncio
from dataclasses import dataclass, field

from starlette.types import Receive, Send

from chat_platform import metrics
from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import BudgetTerms, Intent, Refused
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.errors import NotFound
from chat_platform.ids import AgentId, CallId, new_id
from chat_platform.open_calls import OpenCall
from chat_platform.ports import ModelPrice
from chat_platform.proxy import problems
from chat_platform.proxy.call_request import CallRequest, worst_case_nano_usd
from chat_platform.proxy.failing_embeddings import FailingEmbeddings
from chat_platform.proxy.payers import Payer, Payers
from chat_platform.proxy.prices import PriceList
from chat_platform.proxy.relay import CALLER_GONE, PaidCall, Relay
from chat_platform.proxy.upstream import Upstream

_REPLACED_KEY_TRIES = 3


@dataclass(frozen=True)
class Proxying:
    """What the calls of one process share."""

    ctx: AppContext
    client: Upstream
    terms: BudgetTerms
    models: frozenset[str]
    payers: Payers = field(default_factory=Payers)
    prices: PriceList = field(default_factory=PriceList)
    failing: FailingEmbeddings = field(default_factory=FailingEmbeddings)


async def make_call(
    state: Proxying, agent_id: AgentId, request: CallRequest, receive: Receive, send: Send
) -> None:
    """Make the call and answer it. Raises Problem when nothing was answered yet."""
    price = await _price(state, request)
    payer = await find_payer(state, agent_id)
    _check_load(state, payer)
    task = asyncio.current_task()
    assert task
    call = OpenCall(CallId(new_id()), agent_id, payer.account_id, task)
    with state.ctx.open_calls.listed(call):
        gone = asyncio.create_task(_abort_when_gone(receive, call))
        try:
            await _pay_and_relay(state, call, request, payer, price, send)
        finally:
            gone.cancel()


async def find_payer(state: Proxying, agent_id: AgentId) -> Payer:
    """Return who pays for the agent. Raises Problem 404 for an unknown one."""
    try:
        payer = await state.payers.of_agent(state.ctx, agent_id)
    except NotFound:
        payer = None
    if payer is None:
        raise problems.unknown_agent()
    return payer


async def _price(state: Proxying, request: CallRequest) -> ModelPrice:
    if request.model not in state.models:
        raise problems.unknown_model(request.model)
    price = await state.prices.price_of(state.ctx, request.model)
    if price is None:
        raise problems.unpriced_model(request.model)
    return price


def _check_load(state: Proxying, payer: Payer) -> None:
    settings, calls = state.ctx.settings, state.ctx.open_calls
    if (
        calls.total >= settings.proxy_max_calls
        or calls.of_account(payer.account_id) >= settings.proxy_max_calls_per_account
    ):
        raise problems.too_many_calls()


async def _abort_when_gone(receive: Receive, call: OpenCall) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.abort(CALLER_GONE)


async def _pay_and_relay(
    state: Proxying,
    call: OpenCall,
    request: CallRequest,
    payer: Payer,
    price: ModelPrice,
    send: Send,
) -> None:
    is_embedding = request.endpoint == "embeddings"
    if is_embedding:
        state.failing.refuse_paused(call.agent_id, request.model)
    try:
        paid = await _pay(state, call, request, payer, price)
    except asyncio.CancelledError:
        if call.abort_reason is None:
            raise
        call.task.uncancel()
        raise problems.turn_cancelled() from None
    is_success = False
    try:
        is_success = await Relay(state.ctx, state.client, paid, send).run()
    finally:
        if is_success:
            state.failing.succeeded(call.agent_id, request.model)
        elif is_embedding and call.abort_reason is None:
            state.failing.failed(call.agent_id, request.model)


async def _pay(
    state: Proxying, call: OpenCall, request: CallRequest, payer: Payer, price: ModelPrice
) -> PaidCall:
    """Commit the call's intent. Raises Problem when the ledger refuses."""
    refused: Refused | None = None
    for _ in range(_REPLACED_KEY_TRIES):
        outcome = await ledger.open_call(
            state.ctx, _intent(state, call, request, payer, worst_case_nano_usd(request, price))
        )
        if not isinstance(outcome, Refused):
            call.turn_id = outcome.turn_id
            return PaidCall(call, request, payer, price, outcome.turn_id)
        refused = outcome
        state.payers.forget(call.agent_id)
        if refused.reason != "key_replaced":
            break
        payer = await find_payer(state, call.agent_id)
    assert refused
    metrics.REFUSED_CALLS.labels(refused.reason).inc()
    raise problems.of_refusal(refused)


def _intent(
    state: Proxying, call: OpenCall, request: CallRequest, payer: Payer, worst_case: int
) -> Intent:
    return Intent(
        call_id=call.call_id,
        account_id=payer.account_id,
        agent_id=call.agent_id,
        key_version=payer.key_version,
        kind="embedding" if request.endpoint == "embeddings" else "chat",
        model=request.model,
        worst_case_nano_usd=worst_case,
        owner=state.ctx.process_id,
        now_ms=now_ms(),
        terms=state.terms,
    )
