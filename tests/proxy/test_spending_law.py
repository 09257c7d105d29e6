"""Nobody spends more than their budget, whatever they request and whatever the model writes."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.billing.reservations import (
    Counters,
    charged,
    closed,
    first_counters,
    opened,
    reservation,
)
from chat_platform.ports import ModelPrice
from chat_platform.proxy.call_request import (
    FALLBACK_OUTPUT_TOKENS,
    MIN_OUTPUT_TOKENS,
    CallRequest,
    cost_nano_usd,
    least_nano_usd,
    limited,
    read_request,
    worst_case_nano_usd,
)
from chat_platform.proxy.problems import Problem
from chat_platform.values.ids import AccountId

PRICE = ModelPrice(300_000_000, 2_500_000_000, 8192)
LIMIT_NAMES = ("max_tokens", "max_completion_tokens")

ODD = [0, -1, "100", 1.5, True, [], 2**70]
_limits = st.none() | st.integers(1, 50_000) | st.just(2**62)
_bodies = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.just([{"role": "user", "content": "Привет"}])},
    optional={
        "max_tokens": _limits,
        "max_completion_tokens": _limits,
        "n": st.none() | st.integers(1, 5) | st.just(2**62),
        "stream": st.booleans(),
        "user": st.text(max_size=200),
    },
)
_prices = st.builds(
    ModelPrice,
    st.integers(0, 75_000_000_000),
    st.integers(0, 150_000_000_000),
    st.none() | st.integers(1, 100_000),
)


@dataclass(frozen=True)
class _Call:
    request: CallRequest
    price: ModelPrice
    held: int


def _sent(body: dict[str, Any], *, held: int, price: ModelPrice = PRICE) -> dict[str, Any]:
    request = read_request("chat/completions", json.dumps(body).encode())
    return json.loads(limited(request, price, held).body)


def _obeyed_limit(sent: dict[str, Any], price: ModelPrice) -> int:
    """The longest answer of a model that obeys the larger of the two fields; without any, the
    price list's limit."""
    given = [limit for name in LIMIT_NAMES if (limit := sent.get(name))]
    return max(given, default=price.max_output_tokens or 10**9)


def _whole_cost(call: _Call, share: int) -> int:
    """`share` tenths of what the call costs at most if the gateway obeys."""
    sent = json.loads(call.request.body)
    output = _obeyed_limit(sent, call.price) * (sent.get("n") or 1) * share // 10
    prompt = call.request.max_prompt_tokens * share // 10
    return cost_nano_usd(call.price, prompt=prompt, completion=output)


def _opened(
    counters: Counters, request: CallRequest, price: ModelPrice
) -> tuple[Counters, _Call] | None:
    held = reservation(
        counters,
        worst_case_nano_usd(request, price),
        least_nano_usd=least_nano_usd(request, price),
        background_cap_nano_usd=None,
    )
    if not isinstance(held, int):
        return None
    call = _Call(limited(request, price, held), price, held)
    return opened(counters, held, is_background=False), call


def _ended(counters: Counters, call: _Call, cost: int) -> Counters:
    start = counters.period_start_ms
    counters = closed(counters, call.held, period_start_ms=start, is_background=False)
    return charged(counters, cost, period_start_ms=start, is_background=False)


_steps = st.lists(
    st.tuples(_bodies, _prices, st.sampled_from([0, 3, 10]), st.booleans()), max_size=12
)


@given(limit=st.integers(0, 2_000_000_000), steps=_steps)
def test_nobody_spends_more_than_the_budget_where_the_gateway_obeys(
    limit: int, steps: list[tuple[dict[str, Any], ModelPrice, int, bool]]
):
    counters = first_counters(AccountId("alice"), limit_nano_usd=limit, period="1d", now_ms=0)
    calls: list[tuple[_Call, int]] = []
    for body, price, share, is_ending in steps:
        request = read_request("chat/completions", json.dumps(body).encode())
        if found := _opened(counters, request, price):
            counters, call = found
            calls.append((call, share))
        if is_ending and calls:
            call, share = calls.pop(0)
            counters = _ended(counters, call, _whole_cost(call, share))
        assert counters.spent_nano_usd + counters.reserved_nano_usd <= limit
    for call, share in calls:
        counters = _ended(counters, call, _whole_cost(call, share))
    assert counters.spent_nano_usd <= limit
    assert counters.reserved_nano_usd == 0


@given(body=_bodies, price=_prices, held=st.integers(0, 10**12))
def test_what_may_be_written_never_costs_more_than_is_held(
    body: dict[str, Any], price: ModelPrice, held: int
):
    request = read_request("chat/completions", json.dumps(body).encode())
    if held < least_nano_usd(request, price):
        return

    call = _Call(limited(request, price, held), price, held)

    assert _whole_cost(call, 10) <= held


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", [*LIMIT_NAMES, "n"])
def test_a_limit_that_some_models_would_read_as_none_is_refused(name: str, odd: object):
    body = json.dumps({"model": "m", name: odd}).encode()

    with pytest.raises(Problem, match=name):
        read_request("chat/completions", body)


@pytest.mark.parametrize("name", [*LIMIT_NAMES, "n"])
def test_no_limit_is_hidden_from_us(name: str):
    body = json.dumps({"model": "m", "extra_body": {name: 5}}).encode()

    with pytest.raises(Problem, match="extra_body"):
        read_request("chat/completions", body)


@pytest.mark.parametrize("names", [("max_tokens",), ("max_completion_tokens",), LIMIT_NAMES])
def test_a_callers_own_limit_is_lowered_under_its_own_name(names: tuple[str, ...]):
    body = {"model": "m", "messages": [], **dict.fromkeys(names, 5000)}
    prompt = len(json.dumps(body)) * 300

    sent = _sent(body, held=prompt + 100 * 2500)

    assert sent == {**body, **dict.fromkeys(names, 100)}


def test_the_larger_of_two_limits_is_reserved():
    body = {"model": "m", "max_tokens": 10, "max_completion_tokens": 5000}
    request = read_request("chat/completions", json.dumps(body).encode())

    expected = cost_nano_usd(PRICE, prompt=len(request.body), completion=5000)
    assert worst_case_nano_usd(request, PRICE) == expected


def test_every_one_of_several_answers_gets_its_share():
    body = {"model": "m", "n": 4, "max_tokens": 5000}

    sent = _sent(body, held=len(json.dumps(body)) * 300 + 400 * 2500)

    assert sent["max_tokens"] == 100


def test_a_call_without_a_limit_on_a_model_without_one_gets_ours():
    body = {"model": "m", "max_completion_tokens": None}

    sent = _sent(body, held=10**12, price=ModelPrice(1000, 1000))

    assert sent == {"model": "m", "max_tokens": FALLBACK_OUTPUT_TOKENS}


def test_where_all_of_it_is_held_the_bytes_go_on_as_they_are():
    body = b'{ "model":"m",  "max_tokens" : 10 }'
    request = read_request("chat/completions", body)

    assert limited(request, PRICE, worst_case_nano_usd(request, PRICE)).body is body


def test_the_least_is_a_short_answer_or_what_was_asked_for():
    short = read_request("chat/completions", b'{"model": "m", "max_tokens": 5}')
    usual = read_request("chat/completions", b'{"model": "m"}')

    assert least_nano_usd(short, PRICE) == worst_case_nano_usd(short, PRICE)
    least = cost_nano_usd(PRICE, prompt=len(usual.body), completion=MIN_OUTPUT_TOKENS)
    assert least_nano_usd(usual, PRICE) == least
