"""Decides whether a call may be made, and has it charged and relayed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlmodel import col, select
from starlette.types import Receive, Send

from chat_platform.billing import ledger, metrics
from chat_platform.billing.ledger_rows import BudgetTerms, Intent, Refused
from chat_platform.billing.open_calls import OpenCall
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import NotFound
from chat_platform.models import Turn
from chat_platform.ports import ModelPrice
from chat_platform.proxy import problems
from chat_platform.proxy.call_request import (
    CallRequest,
    least_nano_usd,
    limited,
    worst_case_nano_usd,
)
from chat_platform.proxy.failing_embeddings import FailingEmbeddings
from chat_platform.proxy.payers import Payer, Payers
from chat_platform.proxy.prices import PriceList
from chat_platform.proxy.relay import CALLER_GONE, PaidCall, Relay
from chat_platform.proxy.single_flight import Flight, FlightKey, Flights
from chat_platform.proxy.tracing import trace_refused
from chat_platform.proxy.upstream import Upstream
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId, CallId, new_id

log = structlog.get_logger()

_REPLACED_KEY_TRIES = 3
_UNWATCHED_SECONDS = 0.02


@dataclass(frozen=True)
class Proxying:
    """State shared by the calls of one process."""

    ctx: AppContext
    client: Upstream
    terms: BudgetTerms
    models: frozenset[str]
    payers: Payers = field(default_factory=Payers)
    prices: PriceList = field(default_factory=PriceList)
    failing: FailingEmbeddings = field(default_factory=FailingEmbeddings)
    flights: Flights = field(default_factory=Flights)
    relay: type[Relay] = Relay
    """How a call is forwarded: `TracedRelay` if somebody collects traces."""


async def make_call(
    state: Proxying,
    agent_id: AgentId,
    request: CallRequest,
    receive: Receive,
    send: Send,
    *,
    is_first_try: bool = False,
) -> None:
    """Make the call and answer it, or share the attempt that it repeats.

    `is_first_try`: the caller says it is not a retry. Raises Problem if nothing was sent yet.
    """
    price = await _price(state, request)
    payer = await find_payer(state, agent_id)
    if request.endpoint == "embeddings":
        state.failing.refuse_paused(agent_id, request.model)
    key = FlightKey(agent_id, request.endpoint, request.body)
    found = state.flights.find(key, is_first_try=is_first_try)
    if found:
        with found.followed():
            if await _is_of_running_turn(state, payer, found):
                log.info("proxy.shared", agent_id=agent_id, is_over=found.is_over)
                await _follow(found, receive, send)
                return
    _check_load(state, payer)
    flight = state.flights.take_off(key, send)
    error: BaseException | None = None
    try:
        await _fly(state, agent_id, request, payer, price, receive, flight)
    except BaseException as raised:
        error = raised
        raise
    finally:
        state.flights.land(key, flight, error)


async def _fly(
    state: Proxying,
    agent_id: AgentId,
    request: CallRequest,
    payer: Payer,
    price: ModelPrice,
    receive: Receive,
    flight: Flight,
) -> None:
    task = asyncio.current_task()
    assert task
    call = OpenCall(CallId(new_id()), agent_id, payer.account_id, task)
    with state.ctx.open_calls.listed(call), _watched(receive, call, flight):
        await _pay_and_relay(state, call, request, payer, price, flight)


async def _is_of_running_turn(state: Proxying, payer: Payer, flight: Flight) -> bool:
    """Answers are never shared between turns."""
    if not flight.is_paid:
        return not flight.is_over
    query = select(Turn.id).where(
        col(Turn.account_id) == payer.account_id,
        col(Turn.status) == "running",
        col(Turn.cancel_requested_at_ms).is_(None),
    )
    async with reading(state.ctx.engine) as session:
        return (await session.exec(query)).first() == flight.turn_id


async def _follow(flight: Flight, receive: Receive, send: Send) -> None:
    following = asyncio.create_task(flight.follow(send))
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((following, leaving), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        following.cancel()
        leaving.cancel()


async def find_payer(state: Proxying, agent_id: AgentId) -> Payer:
    """Return who pays for the agent's calls. Raises Problem 404 if it is unknown."""
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


@contextmanager
def _watched(receive: Receive, call: OpenCall, flight: Flight) -> Iterator[None]:
    """Notice when the caller leaves a call that takes longer than a task to watch it is worth."""
    watching: set[asyncio.Task[None]] = set()

    def watch() -> None:
        watching.add(asyncio.create_task(_leave_when_gone(receive, call, flight)))

    starting = asyncio.get_running_loop().call_later(_UNWATCHED_SECONDS, watch)
    try:
        yield
    finally:
        starting.cancel()
        for task in watching:
            task.cancel()


async def _leave_when_gone(receive: Receive, call: OpenCall, flight: Flight) -> None:
    await _gone(receive)
    flight.leave(partial(call.abort, CALLER_GONE))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pay_and_relay(
    state: Proxying,
    call: OpenCall,
    request: CallRequest,
    payer: Payer,
    price: ModelPrice,
    flight: Flight,
) -> None:
    is_embedding = request.endpoint == "embeddings"
    try:
        paid = await _pay(state, call, request, payer, price)
    except asyncio.CancelledError:
        if call.abort_reason is None:
            raise
        call.task.uncancel()
        raise problems.turn_cancelled() from None
    flight.paid(paid.turn_id)
    is_success = False
    try:
        is_success = await state.relay(state.ctx, state.client, paid, flight.send).run()
    finally:
        if is_success:
            state.failing.succeeded(call.agent_id, request.model)
        elif is_embedding and call.abort_reason is None:
            state.failing.failed(call.agent_id, request.model)


async def _pay(
    state: Proxying, call: OpenCall, request: CallRequest, payer: Payer, price: ModelPrice
) -> PaidCall:
    """Commit the call's intent. Raises Problem if the ledger refuses."""
    refused: Refused | None = None
    for _ in range(_REPLACED_KEY_TRIES):
        intent = _intent(state, call, request, payer, price)
        outcome = await ledger.open_call(state.ctx, intent)
        if not isinstance(outcome, Refused):
            state.ctx.open_calls.assign(call, outcome.turn_id)
            fitting = limited(request, price, outcome.held_nano_usd)
            return PaidCall(call, fitting, payer, price, outcome.turn_id)
        refused = outcome
        state.payers.forget(call.agent_id)
        if refused.reason != "key_replaced":
            break
        payer = await find_payer(state, call.agent_id)
    assert refused
    metrics.REFUSED_CALLS.labels(refused.reason).inc()
    log.info(
        "call.refused",
        call_id=call.call_id,
        account_id=call.account_id,
        agent_id=call.agent_id,
        reason=refused.reason,
    )
    if state.ctx.traces:
        await trace_refused(state.ctx, call, refused.reason)
    raise problems.of_refusal(refused)


def _intent(
    state: Proxying, call: OpenCall, request: CallRequest, payer: Payer, price: ModelPrice
) -> Intent:
    return Intent(
        call_id=call.call_id,
        account_id=payer.account_id,
        agent_id=call.agent_id,
        key_version=payer.key_version,
        kind="embedding" if request.endpoint == "embeddings" else "chat",
        model=request.model,
        worst_case_nano_usd=worst_case_nano_usd(request, price),
        least_nano_usd=least_nano_usd(request, price),
        owner=state.ctx.process_id,
        now_ms=now_ms(),
        terms=state.terms,
        prompt_tokens=request.usual_prompt_tokens,
    )
