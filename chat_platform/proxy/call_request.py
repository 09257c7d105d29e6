"""What the proxy needs from a call's body: its model, whether it streams, what it may cost."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from chat_platform.ports import ModelPrice
from chat_platform.proxy import problems
from chat_platform.proxy.prompt_size import prompt_size

Endpoint = Literal["chat/completions", "embeddings"]

FALLBACK_OUTPUT_TOKENS = 16_384
"""The limit of a call that sets none, on a model that declares none."""

MIN_OUTPUT_TOKENS = 16
"""If an answer could only be shorter than this, the call is refused, unless it asked for less."""

_MILLION = 1_000_000
_LIMITS = ("max_completion_tokens", "max_tokens")
_COUNTS = (*_LIMITS, "n")


@dataclass(frozen=True, slots=True)
class CallRequest:
    endpoint: Endpoint
    model: str
    is_stream: bool
    hides_usage: bool
    """The caller did not ask for usage: we did, and remove its chunk again."""
    body: bytes
    """What is forwarded: the caller's bytes, except for `include_usage` and our limits."""
    max_prompt_tokens: int
    usual_prompt_tokens: int
    """Our estimate of the prompt's tokens, used if no count is reported."""
    max_output_tokens: int | None
    """The caller's limit, for each answer."""
    answers: int
    """How many answers are requested (`n`)."""


def read_request(endpoint: Endpoint, body: bytes) -> CallRequest:
    """Return the parsed request. Raises Problem 400 if it is not valid."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise problems.malformed("The body is not JSON.") from exc
    if not isinstance(fields, dict) or not isinstance(fields.get("model"), str):
        raise problems.malformed("The body must be an object with a `model`.")
    if endpoint == "embeddings":
        return _embeddings(fields["model"], body)
    counts = _counts(fields)
    prompt = prompt_size(fields, len(body))
    is_stream = fields.get("stream") is True
    hides_usage = is_stream and not _asks_for_usage(fields)
    return CallRequest(
        endpoint=endpoint,
        model=fields["model"],
        is_stream=is_stream,
        hides_usage=hides_usage,
        body=_with_usage(fields) if hides_usage else body,
        max_prompt_tokens=prompt.most,
        usual_prompt_tokens=prompt.usual,
        # Models differ in which of the two they use.
        max_output_tokens=max(map(counts.get, _LIMITS), key=lambda count: count or 0),
        answers=counts.get("n", 1),
    )


def _embeddings(model: str, body: bytes) -> CallRequest:
    prompt = prompt_size({}, len(body))
    return CallRequest(
        endpoint="embeddings",
        model=model,
        is_stream=False,
        hides_usage=False,
        body=body,
        max_prompt_tokens=prompt.most,
        usual_prompt_tokens=prompt.usual,
        max_output_tokens=None,
        answers=1,
    )


def worst_case_nano_usd(request: CallRequest, price: ModelPrice) -> int:
    """Return the most the call can cost."""
    return _cost_up_to(request, price, _output_limit(request, price))


def least_nano_usd(request: CallRequest, price: ModelPrice) -> int:
    """Return the least budget with which the call is worth sending."""
    return _cost_up_to(request, price, min(_output_limit(request, price), MIN_OUTPUT_TOKENS))


def limited(request: CallRequest, price: ModelPrice, held_nano_usd: int) -> CallRequest:
    """Return the request, limited so that its answer cannot cost more than what is reserved for it.

    The body is rewritten only if neither the caller nor the model keeps the cost below that.
    """
    if request.endpoint != "chat/completions":
        return request
    limit = _output_limit(request, price)
    affordable = _affordable_tokens(request, price, held_nano_usd)
    is_bound = request.max_output_tokens or price.max_output_tokens
    if is_bound and (affordable is None or limit <= affordable):
        return request
    most = limit if affordable is None else min(limit, affordable)
    return replace(request, body=_with_limit(request.body, most))


def cost_nano_usd(price: ModelPrice, *, prompt: int, completion: int) -> int:
    """Return the list price of these tokens, rounded up."""
    nano = (
        prompt * price.input_nano_usd_per_million + completion * price.output_nano_usd_per_million
    )
    return -(-nano // _MILLION)


def _output_limit(request: CallRequest, price: ModelPrice) -> int:
    return request.max_output_tokens or price.max_output_tokens or FALLBACK_OUTPUT_TOKENS


def _cost_up_to(request: CallRequest, price: ModelPrice, output_tokens: int) -> int:
    output = output_tokens * request.answers if request.endpoint == "chat/completions" else 0
    return cost_nano_usd(price, prompt=request.max_prompt_tokens, completion=output)


def _affordable_tokens(request: CallRequest, price: ModelPrice, held_nano_usd: int) -> int | None:
    """Return how long each answer may be, None if length costs nothing."""
    each = price.output_nano_usd_per_million * request.answers
    if not each:
        return None
    prompt = request.max_prompt_tokens * price.input_nano_usd_per_million
    return max(0, held_nano_usd * _MILLION - prompt) // each


def _with_limit(body: bytes, most: int) -> bytes:
    fields = orjson.loads(body)
    given = {name: fields[name] for name in _LIMITS if fields.get(name)}
    kept = {name: value for name, value in fields.items() if name not in _LIMITS}
    # LiteLLM translates this one for every provider, and OpenAI refuses both together.
    limits = {name: min(count, most) for name, count in given.items()} or {"max_tokens": most}
    return orjson.dumps({**kept, **limits})


def _asks_for_usage(fields: dict[str, Any]) -> bool:
    options = fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(fields: dict[str, Any]) -> bytes:
    options = fields.get("stream_options")
    known = options if isinstance(options, dict) else {}
    return orjson.dumps({**fields, "stream_options": {**known, "include_usage": True}})


def _counts(fields: dict[str, Any]) -> dict[str, int]:
    """Return the limits that are set. Raises Problem 400 for one that some models ignore, and for
    a hidden one."""
    counts: dict[str, int] = {}
    for name in _COUNTS:
        value = fields.get(name)
        if value is None:
            continue
        if type(value) is not int or value <= 0:
            raise problems.malformed(f"`{name}` must be a whole number above 0.")
        counts[name] = value
    hidden = fields.get("extra_body")
    if isinstance(hidden, dict) and not hidden.keys().isdisjoint(_COUNTS):
        # LiteLLM would let it override the fields beside it.
        raise problems.malformed("`extra_body` must not contain a limit.")
    return counts
