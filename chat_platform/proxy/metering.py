"""What a call has used and cost, as reported by LiteLLM or else as we estimate it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chat_platform.billing.ledger_rows import (
    MAX_COST_NANO_USD,
    MAX_TOKENS,
    CostSource,
    Tokens,
)
from chat_platform.ports import ModelPrice
from chat_platform.proxy.call_request import (
    CallRequest,
    cost_nano_usd,
)
from chat_platform.proxy.prompt_size import BYTES_PER_TOKEN
from chat_platform.proxy.sse import written
from chat_platform.values.money import to_nano_usd

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
    text_length: Callable[[], int],
    header_cost: str | None = None,
) -> Metered:
    """Return what a complete answer cost: as LiteLLM reports, or the list price until it does.

    If it reports no tokens they are estimated from the texts; only then is `text_length` called.
    """
    tokens = read_tokens(usage or {})
    is_counted = bool(tokens.prompt or tokens.completion)
    if not is_counted:
        tokens = _estimated(request, text_length())
    cost = _money(header_cost)
    if cost is not None:
        return Metered(tokens, cost, "header")
    cost = _money((usage or {}).get("cost"))
    if cost is not None:
        return Metered(tokens, cost, "stream")
    return Metered(tokens, _listed(price, tokens), "pending" if is_counted else "estimated")


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
    tokens = _estimated(request, text_length)
    return Metered(tokens, _listed(price, tokens), "estimated")


def of_refusal(header_cost: str | None) -> Metered:
    """Return the cost of a call that LiteLLM answered with an error: usually nothing.

    Only an estimate: its header says 0 for calls whose prompt its spend log charges (timeouts).
    """
    return Metered(Tokens(), _money(header_cost) or 0, "estimated")


NOTHING = Metered(Tokens(), 0, "estimated")
"""The usage of a call that never reached LiteLLM."""


def read_tokens(usage: Mapping[str, Any]) -> Tokens:
    return Tokens(
        prompt=_count(usage, "prompt_tokens"),
        completion=_count(usage, "completion_tokens"),
        cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def read_answer(body: bytes) -> dict[str, Any] | None:
    """Return the response as a JSON object, None if it is not one."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def text_length(answer: Mapping[str, Any]) -> int:
    """Count the characters in the messages of an answer that was not streamed."""
    choices = answer.get("choices")
    choices = choices if isinstance(choices, list) else []
    messages = (choice.get("message") for choice in choices if isinstance(choice, dict))
    return sum(written(message) for message in messages if isinstance(message, dict))


def _estimated(request: CallRequest, text_length: int) -> Tokens:
    completion = -(-text_length // BYTES_PER_TOKEN)
    return Tokens(prompt=request.usual_prompt_tokens, completion=completion)


def _listed(price: ModelPrice, tokens: Tokens) -> int:
    return cost_nano_usd(price, prompt=tokens.prompt, completion=tokens.completion)


def _money(amount: object) -> int | None:
    """Return an amount reported by LiteLLM, None if it is not plausible.

    A negative one would create credit, an enormous one would use up the budget.
    """
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        return None
    try:
        cost = to_nano_usd(amount)
    except ValueError:
        return None
    return cost if 0 <= cost <= MAX_COST_NANO_USD else None


def _count(fields: object, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= MAX_TOKENS else 0
