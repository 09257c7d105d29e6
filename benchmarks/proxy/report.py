"""Says in words and tables what was measured, and which target it meets. Measures nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

OURS = "ours (SQLite)"
SMALL, BIG = "10 rows, 10 accounts", "1,000,000 rows, 10,000 accounts"


@dataclass(frozen=True)
class Row:
    peer: str
    kind: str
    connections: int
    rps: float
    chunks_per_second: int
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    cpu_ms_per_request: float
    memory_mb: int
    failures: int
    direct_p50_ms: float = 0
    """Direct, measured in the same moment: set at one connection."""
    direct_first_byte_ms: float = 0

    @property
    def rate(self) -> float:
        return self.chunks_per_second if self.kind == "stream" else self.rps

    @property
    def added_p50_ms(self) -> float:
        return self.p50_ms - self.direct_p50_ms

    @property
    def added_first_byte_ms(self) -> float:
        return self.first_byte_p50_ms - self.direct_first_byte_ms


@dataclass(frozen=True)
class Flatness:
    """The same calls on a small and a big ledger, in turns."""

    connections: int
    small_p50_ms: float
    big_p50_ms: float
    small_cpu_ms: float
    big_cpu_ms: float


def lines(rows: list[Row], flatness: list[Flatness]) -> list[str]:
    return [
        *table(rows),
        "",
        *ratios(rows),
        *_added(rows),
        *_flat(flatness),
        "",
        *_targets(rows, flatness),
    ]


def table(rows: list[Row]) -> list[str]:
    names = ("", "connections", "requests/s", "chunks/s", "p50 ms", "p99 ms")
    names += ("first byte p50 ms", "CPU ms a request", "memory MB", "failures")
    made = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for r in rows:
        figures = (r.connections, f"{r.rps:,.0f}", f"{r.chunks_per_second:,}" if r.rate else "0")
        times = (f"{r.p50_ms:.2f}", f"{r.p99_ms:.2f}", f"{r.first_byte_p50_ms:.2f}")
        rest = (f"{r.cpu_ms_per_request:.3f}", r.memory_mb, r.failures)
        made.append(f"| {r.peer}, {r.kind} | {' | '.join(map(str, (*figures, *times, *rest)))} |")
    return made


def short_table(rows: list[Row]) -> list[str]:
    """The README's: a line a peer."""
    names = ("", "p50, 1 connection", "p50, 32", "requests/s, 32", "CPU a request")
    names += ("first byte of a stream", "chunks/s, 32")
    made = [f"| {' | '.join(names)} |", f"|---|{'---:|' * (len(names) - 1)}"]
    for peer in dict.fromkeys(row.peer for row in rows):
        of = {(r.kind, r.connections): r for r in rows if r.peer == peer}
        one, many = of.get(("plain", 1)), of.get(("plain", 32))
        stream, streams = of.get(("stream", 1)), of.get(("stream", 32))
        cells = (
            one and f"{one.p50_ms:.2f} ms",
            many and f"{many.p50_ms:.1f} ms",
            many and f"{many.rps:,.0f}",
            many and many.cpu_ms_per_request and f"{many.cpu_ms_per_request:.2f} ms",
            stream and f"{stream.first_byte_p50_ms:.2f} ms",
            streams and f"{streams.chunks_per_second:,}",
        )
        made.append(f"| {peer} | {' | '.join(cell or '' for cell in cells)} |")
    return made


def ratios(rows: list[Row]) -> list[str]:
    """How many times as much goes through ours as through each peer."""
    return [
        f"{row.peer.lower()} {'' if row.kind == 'plain' else 'stream '}c={row.connections}"
        f" ratio {ratio:.2f}x"
        for row, ratio in _ratios(rows)
    ]


def _ratios(rows: list[Row]) -> Iterator[tuple[Row, float]]:
    ours = {(r.kind, r.connections): r.rate for r in rows if r.peer == OURS}
    for row in rows:
        mine = ours.get((row.kind, row.connections))
        if mine and row.rate and not row.peer.startswith("ours"):
            yield row, mine / row.rate


def _added(rows: list[Row]) -> list[str]:
    """What ours adds to direct at one connection."""
    return [
        f"{row.peer} c=1 first byte of a stream added {row.added_first_byte_ms:.2f} ms"
        if row.kind == "stream"
        else f"{row.peer} c=1 p50 added {row.added_p50_ms:.2f} ms"
        for row in _ours_alone(rows)
    ]


def _ours_alone(rows: list[Row]) -> Iterator[Row]:
    return (r for r in rows if r.peer.startswith("ours") and r.connections == 1)


def _flat(flatness: list[Flatness]) -> list[str]:
    return [
        f"c={f.connections}: p50 {f.small_p50_ms:.2f} ms with {SMALL}, {f.big_p50_ms:.2f} ms with"
        f" {BIG}; CPU {f.small_cpu_ms:.2f} and {f.big_cpu_ms:.2f} ms"
        for f in flatness
    ]


def _targets(rows: list[Row], flatness: list[Flatness]) -> list[str]:
    return [
        f"target {what}: {'met' if is_met else 'MISSED'} ({found})"
        for what, is_met, found in _verdicts(rows, flatness)
    ]


def _verdicts(rows: list[Row], flatness: list[Flatness]) -> Iterable[tuple[str, bool, str]]:
    for row, ratio in _ratios(rows):
        wanted = {"Portkey": 3, "LiteLLM": 30}.get(row.peer)
        if wanted and row.kind == "plain" and row.connections == 32:
            yield f"{wanted}x {row.peer} at 32", ratio >= wanted, f"{ratio:.1f}x"
    for row in _ours_alone(rows):
        added = row.added_p50_ms if row.kind == "plain" else row.added_first_byte_ms
        what, most = ("p50", 1) if row.kind == "plain" else ("first byte", 2)
        yield f"{what} added <= {most} ms, {row.peer}", added <= most, f"{added:.2f} ms"
    for row in rows:
        if row.peer.startswith("ours") and (row.kind, row.connections) == ("stream", 32):
            found = row.chunks_per_second
            yield f"20,000 chunks/s, {row.peer}", found >= 20_000, f"{found:,}"
    for f in flatness:
        # Of CPU time: the median moves with whatever else the machine does.
        ratio = f.big_cpu_ms / max(f.small_cpu_ms, 0.001)
        yield f"flat at {f.connections}", ratio <= 1.25, f"{ratio:.2f}x the CPU, big to small"
