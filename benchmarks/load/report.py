"""Says in tables what was measured under load. Measures nothing."""

import os
from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.load.phases import (
    LONG_SECONDS,
    PAGES,
    PEOPLE,
    ROUNDS,
    SHORT_AT_ONCE,
    Pages,
    Phases,
    Round,
)
from benchmarks.load.proxy_alone import CONNECTIONS, ProxyAlone
from benchmarks.proxy.rows import Row

_SHARES = (50, 95, 99)
_FULL = 0.9
"""From here on, a machine has nothing left to give."""


def lines(phases: Phases, alone: ProxyAlone) -> list[str]:
    return [
        *_pages(phases.pages),
        "",
        f"## {PEOPLE} answers at once",
        "",
        f"Each is 100 words at 20 ms: the model itself takes {LONG_SECONDS:.0f} s. One server and"
        f" two took turns; rounds: {ROUNDS}.",
        "",
        *_rounds(phases.at_once),
        "",
        f"## Short answers, {SHORT_AT_ONCE} at a time",
        "",
        *_rounds(phases.short),
        "",
        "## The proxy alone",
        "",
        *_alone(alone),
    ]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def _pages(pages: Pages) -> Iterator[str]:
    opened = " / ".join(f"{percentile(pages.opened_seconds, p) * 1000:.0f}" for p in _SHARES)
    yield f"## {PAGES} open pages"
    yield ""
    yield f"- still open at the end: {pages.alive} of {PAGES}"
    yield f"- filled with a person's data, 8 at a time: {opened} ms (p50 / p95 / p99)"
    yield f"- memory of a server process for each: {pages.kilobytes_each:.0f} kB"
    yield ""
    yield "| part, while they are idle | cores | MB |"
    yield "|---|---:|---:|"
    for part, cores in pages.idle.cores.items():
        yield f"| {part} | {cores:.2f} | {pages.idle.memory_mb[part]:.0f} |"


def _rounds(rounds: Sequence[Round]) -> Iterator[str]:
    yield (
        "| servers | answers | failed | a second | first text, ms (p50 / p95 / p99)"
        " | whole, ms (p50 / p95 / p99) | machine busy |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for servers in (1, 2):
        yield _row(servers, [each for each in rounds if each.servers == servers])
    yield ""
    rates = [_rate(rounds, servers) for servers in (1, 2)]
    yield f"Through two servers: {rates[1] / rates[0]:.2f} times as many answers a second."
    yield ""
    yield from _bottleneck(rounds)
    failures = [failure for each in rounds for failure in each.answers.failures]
    if failures:
        yield ""
        yield f"The first failure: {failures[0][:200]}"


def _row(servers: int, own: Sequence[Round]) -> str:
    first = [times.first * 1000 for each in own for times in each.answers.times]
    whole = [times.whole * 1000 for each in own for times in each.answers.times]
    failed = sum(len(each.answers.failures) for each in own)
    busy = median(each.used.machine for each in own)
    shares = (
        " / ".join(f"{percentile(values, p):,.0f}" for p in _SHARES) for values in (first, whole)
    )
    return (
        f"| {servers} | {len(whole)} | {failed} | {_rate(own, servers):.1f}"
        f" | {' | '.join(shares)} | {busy:.0%} |"
    )


def _rate(rounds: Sequence[Round], servers: int) -> float:
    return median(each.answers.per_second for each in rounds if each.servers == servers)


def _bottleneck(rounds: Sequence[Round]) -> Iterator[str]:
    parts = list(rounds[0].used.cores)
    yield "| cores in use | " + " | ".join(parts) + " |"
    yield "|---|" + "---:|" * len(parts)
    for servers in (1, 2):
        cores = [_cores(rounds, servers, part) for part in parts]
        yield f"| {servers} server(s) | " + " | ".join(f"{each:.2f}" for each in cores) + " |"
    yield ""
    yield _named(rounds, sorted(parts, key=lambda part: -_cores(rounds, 2, part)))


def _named(rounds: Sequence[Round], parts: Sequence[str]) -> str:
    """Name the bottleneck; `parts` begins with the busiest."""
    busy = median(each.used.machine for each in rounds if each.servers == 2)
    uses = ", ".join(f"{part} {_cores(rounds, 2, part):.2f} cores" for part in parts[:3])
    stack = sum(_cores(rounds, 2, part) for part in parts)
    if busy > _FULL:
        return (
            f"With two servers the bottleneck is the machine ({busy:.0%} busy): {uses}. All parts"
            f" together had {stack:.2f} of its {os.cpu_count()} cores; the load, and whatever else"
            " ran there, had the rest."
        )
    return f"With two servers the bottleneck is {parts[0]}, not the machine ({busy:.0%}): {uses}."


def _cores(rounds: Sequence[Round], servers: int, part: str) -> float:
    return median(each.used.cores.get(part, 0.0) for each in rounds if each.servers == servers)


def _alone(alone: ProxyAlone) -> Iterator[str]:
    yield (
        f"Model calls over {CONNECTIONS} connections, with an instant model behind, Postgres that"
        " waits for the disk, and no nginx before."
    )
    yield ""
    yield "| processes | calls a second | p50 ms | p99 ms | CPU ms a call | of Postgres |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for processes, rows in ((1, alone.one), (2, alone.two)):
        yield (
            f"| {processes} | {_median(rows, 'rps'):,.0f} | {_median(rows, 'p50_ms'):.1f}"
            f" | {_median(rows, 'p99_ms'):.1f} | {_median(rows, 'cpu_ms_per_request'):.3f}"
            f" | {_median(rows, 'database_cpu_ms_per_request'):.3f} |"
        )
    ratio = _median(alone.two, "rps") / _median(alone.one, "rps")
    yield ""
    yield f"Through two processes: {ratio:.2f} times as many calls a second."


def _median(rows: Sequence[Row], figure: str) -> float:
    return median(getattr(row, figure) for row in rows)
