"""Says in tables what a soak saw."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.soak.samples import Sample


def held(server: str, samples: Sequence[Sample], at_rest: Sequence[Sequence[Sample]]) -> list[str]:
    """What a server held, before, during and after the load."""
    third = max(1, len(samples) // 3)
    rows = {
        "at rest, before": at_rest[0],
        "under load, first third": samples[:third],
        "under load, last third": samples[-third:],
        "at rest, after": at_rest[-1],
    }
    head = [f"| {server}, which nothing kills | MB | sockets | tasks |", "|---|---:|---:|---:|"]
    return [*head, *(f"| {name} | {_shown(own)} |" for name, own in rows.items())]


def recoveries(recovered: Sequence[tuple[str, float]]) -> Iterator[str]:
    times: dict[str, list[float]] = {}
    for name, seconds in recovered:
        times.setdefault(name, []).append(seconds)
    yield "| fault | times | whole again after, at most |"
    yield "|---|---:|---:|"
    for name, each in times.items():
        yield f"| {name} | {len(each)} | {max(each):.0f} s |"


def outcomes(counted: Counter[str]) -> Iterator[str]:
    yield "| what requests got | times |"
    yield "|---|---:|"
    for name, count in counted.most_common():
        yield f"| {name} | {count} |"


def _shown(samples: Sequence[Sample]) -> str:
    """Return the medians as cells of a table."""
    if not samples:
        return "none | none | none"
    figures = ([getattr(each, name) for each in samples] for name in Sample.QUANTITIES)
    return " | ".join(f"{statistics.median(values):.0f}" for values in figures)
