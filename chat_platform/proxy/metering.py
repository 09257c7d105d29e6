"""What a call has used and cost, from what LiteLLM says, else by our own estimate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chat_platform.billing.ledger_rows import CostSource, Tokens
from chat_platform.money import to_nano_usd
from chat_platform.ports import ModelPrice
from chat_platform.proxy.call_request import (
    BYTES_PER_TOKEN,
    CallRequest,
    cost_nano_usd,
    estimated_prompt_tokens,
)

COST_HEADER = b"x-litellm-response-cost"
CALL_ID_HEADER = b"x-litellm-call-id"


@dataclass(frozen=True, slots=True)
class Metered:
    tokens: Tokens
    cost_nano_usd: int
    cost_source: CostSource


def of_answer(
    request: CallRequest,
    price: ModelPrice,
    usage: Mapping[str, Any] | None,
    *,
    header_cost: str | None = None,
) -> Metered:
    """Return what a whole answer cost: as LiteLLM said, else by the list until it says."""
    tokens = read_tokens(usage or {})
    cost = _money(header_cost)
    if cost is not None:
        return Metered(tokens, cost, "header")
    cost = _money((usage or {}).get("cost"))
    if cost is not None:
        return Metered(tokens, cost, "stream")
    if not usage:
        return of_broken(request, price, text_length=0)
    return Metered(tokens, _listed(price, tokens), "pending")


def of_broken(
    request: CallRequest,
    price: ModelPrice,
    *,
    text_length: int,
    usage: Mapping[str, Any] | None = None,
) -> Metered:
    """Return our estimate for a call that broke off after `text_length` characters."""
    if usage:
        tokens = read_tokens(usage)
        cost = _money(usage.get("cost"))
        return Metered(tokens, _listed(price, tokens) if cost is None else cost, "estimated")
    written = -(-text_length // BYTES_PER_TOKEN)
    tokens = Tokens(prompt=estimated_prompt_tokens(request), completion=written)
    return Metered(tokens, _listed(price, tokens), "estimated")


def of_refusal(header_cost: str | None) -> Metered:
    """Return what a call cost that LiteLLM answered with an error: as a rule nothing.

    Only an estimate: its header says 0 for calls whose prompt its spend log charges (time-outs).
    """
    return Metered(Tokens(), _money(header_cost) or 0, "estimated")


NOTHING = Metered(Tokens(), 0, "estimated")
"""For a call that never reached LiteLLM."""


def read_tokens(usage: Mapping[str, Any]) -> Tokens:
    return Tokens(
        prompt=_count(usage, "prompt_tokens"),
        completion=_count(usage, "completion_tokens"),
        cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def read_answer(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that the answer is, None when it is not one."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _listed(price: ModelPrice, tokens: Tokens) -> int:
    return cost_nano_usd(price, prompt=tokens.prompt, completion=tokens.completion)


def _money(amount: object) -> int | None:
    """Return an amount that LiteLLM stated. A negative one would mint credit: it is no amount."""
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        return None
    try:
        cost = to_nano_usd(amount)
    except ValueError:
        return None
    return cost if cost >= 0 else None


def _count(fields: object, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
