"""Prometheus metrics of model calls."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from chat_platform.billing.ledger_rows import Settlement
from chat_platform.process.metrics import REGISTRY
from chat_platform.values.money import NANO_PER_USD

MODEL_CALLS = Counter(
    "chat_platform_model_calls", "Finished model calls", ["state", "error"], registry=REGISTRY
)
REFUSED_CALLS = Counter(
    "chat_platform_refused_calls",
    "Model calls refused before they were sent",
    ["reason"],
    registry=REGISTRY,
)
TOKENS = Counter("chat_platform_tokens", "Tokens used", ["direction"], registry=REGISTRY)
COST = Counter("chat_platform_cost_usd", "Cost of model calls, in dollars", registry=REGISTRY)
OPEN_CALLS = Gauge("chat_platform_open_calls", "Model calls in flight", registry=REGISTRY)
UNSETTLED_CALLS = Gauge(
    "chat_platform_unsettled_calls",
    "Ended model calls that the database could not store yet",
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "chat_platform_call_seconds",
    "Duration of model calls",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=REGISTRY,
)


_finished_calls = cache(MODEL_CALLS.labels)
_prompt_tokens, _completion_tokens = TOKENS.labels("prompt"), TOKENS.labels("completion")


def count_call(settlement: Settlement) -> None:
    _finished_calls(settlement.state, settlement.error_code or "").inc()
    _prompt_tokens.inc(settlement.tokens.prompt)
    _completion_tokens.inc(settlement.tokens.completion)
    COST.inc(settlement.cost_nano_usd / NANO_PER_USD)
    CALL_SECONDS.observe(settlement.total_ms / 1000)
