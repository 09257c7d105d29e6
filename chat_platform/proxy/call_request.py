"""What the proxy must know of a call's body: its model, whether it streams, its worst case."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from chat_platform.ports import ModelPrice
from chat_platform.proxy import problems

Endpoint = Literal["chat/completions", "embeddings"]

FALLBACK_OUTPUT_TOKENS = 16_384
"""The worst case of a call that sets no limit, on a model that declares none: LiteLLM's own."""

BYTES_PER_TOKEN = 4
"""How long a token is on average: for estimates, never for worst cases."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class CallRequest:
    endpoint: Endpoint
    model: str
    is_stream: bool
    hides_usage: bool
    """The caller did not ask for usage: we did, and take its chunk out again."""
    body: bytes
    """What is sent on: the caller's bytes, but for `include_usage`."""
    max_output_tokens: int | None
    answers: int
    """How many answers are asked for (`n`)."""


def read_request(endpoint: Endpoint, body: bytes) -> CallRequest:
    """Return what the body asks for. Raises Problem 400 for what is no such request."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise problems.malformed("The body is not JSON.") from exc
    if not isinstance(fields, dict) or not isinstance(fields.get("model"), str):
        raise problems.malformed("The body must be an object with a `model`.")
    is_stream = endpoint == "chat/completions" and fields.get("stream") is True
    hides_usage = is_stream and not _asks_for_usage(fields)
    return CallRequest(
        endpoint=endpoint,
        model=fields["model"],
        is_stream=is_stream,
        hides_usage=hides_usage,
        body=_with_usage(fields) if hides_usage else body,
        max_output_tokens=_count(fields, "max_completion_tokens") or _count(fields, "max_tokens"),
        answers=_count(fields, "n") or 1,
    )


def worst_case_nano_usd(request: CallRequest, price: ModelPrice) -> int:
    """Return what the call may cost at most: no text has more tokens than bytes."""
    limit = request.max_output_tokens or price.max_output_tokens or FALLBACK_OUTPUT_TOKENS
    output = limit * request.answers if request.endpoint == "chat/completions" else 0
    return cost_nano_usd(price, prompt=len(request.body), completion=output)


def cost_nano_usd(price: ModelPrice, *, prompt: int, completion: int) -> int:
    """Return what these tokens cost by the list, rounded up."""
    nano = (
        prompt * price.input_nano_usd_per_million + completion * price.output_nano_usd_per_million
    )
    return -(-nano // _MILLION)


def estimated_prompt_tokens(request: CallRequest) -> int:
    return -(-len(request.body) // BYTES_PER_TOKEN)


def _asks_for_usage(fields: dict[str, Any]) -> bool:
    options = fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(fields: dict[str, Any]) -> bytes:
    options = fields.get("stream_options")
    known = options if isinstance(options, dict) else {}
    return orjson.dumps({**fields, "stream_options": {**known, "include_usage": True}})


def _count(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
