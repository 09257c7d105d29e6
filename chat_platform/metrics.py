"""What this process counts for Prometheus. No label ever names a person or says what they wrote."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from chat_platform.billing.ledger_rows import Settlement
from chat_platform.money import NANO_PER_USD

REGISTRY = CollectorRegistry()

MODEL_CALLS = Counter(
    "chat_platform_model_calls", "Model calls that ended", ["state", "error"], registry=REGISTRY
)
REFUSED_CALLS = Counter(
    "chat_platform_refused_calls", "Model calls refused unsent", ["reason"], registry=REGISTRY
)
TOKENS = Counter("chat_platform_tokens", "Tokens used", ["direction"], registry=REGISTRY)
COST = Counter("chat_platform_cost_usd", "What model calls cost, in dollars", registry=REGISTRY)
OPEN_CALLS = Gauge("chat_platform_open_calls", "Model calls in flight", registry=REGISTRY)
CALL_SECONDS = Histogram(
    "chat_platform_call_seconds",
    "How long model calls took",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=REGISTRY,
)


def count_call(settlement: Settlement) -> None:
    MODEL_CALLS.labels(settlement.state, settlement.error_code or "").inc()
    TOKENS.labels("prompt").inc(settlement.tokens.prompt)
    TOKENS.labels("completion").inc(settlement.tokens.completion)
    COST.inc(settlement.cost_nano_usd / NANO_PER_USD)
    CALL_SECONDS.observe(settlement.total_ms / 1000)


def exposition() -> bytes:
    """Return all counters in Prometheus's text format."""
    return generate_latest(REGISTRY)
