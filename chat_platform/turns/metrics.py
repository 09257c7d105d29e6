"""Prometheus metrics of turns."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from chat_platform.process.metrics import REGISTRY

RUNNING = Gauge("chat_platform_running_turns", "Turns that this process runs", registry=REGISTRY)

_ENDED = Counter("chat_platform_turns", "Ended turns", ["outcome", "error"], registry=REGISTRY)
_FIRST_TEXT_SECONDS = Histogram(
    "chat_platform_first_text_seconds",
    "From the start of a turn's run to the first text of its reply",
    buckets=(0.3, 1, 2, 3, 5, 10, 30, 100),
    registry=REGISTRY,
)
_ended = cache(_ENDED.labels)


def count_end(outcome: str, error: str | None) -> None:
    _ended(outcome, error or "").inc()


def observe_first_text(seconds: float) -> None:
    _FIRST_TEXT_SECONDS.observe(seconds)
