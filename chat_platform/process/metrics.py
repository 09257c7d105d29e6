"""This process's Prometheus metrics. No label ever identifies a person or contains content."""

import asyncio

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# They double the series, and tell when the process started.
disable_created_metrics()
REGISTRY = CollectorRegistry()
LOOK_SECONDS = 0.5
"""How often the event loop's lateness is measured."""

_TICK_SECONDS = 0.01
_LATE = Histogram(
    "chat_platform_event_loop_late_seconds",
    "How late the event loop ran a timer: how long it was blocked",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)


async def look_at_loop() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(_TICK_SECONDS)
    _LATE.observe(max(0.0, loop.time() - began - _TICK_SECONDS))


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format."""
    return generate_latest(REGISTRY)
