"""Judges which targets are met, from what was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.proxy.peers.peer import BURST, PACED, PLAIN
from benchmarks.proxy.rows import Figure, Flatness, Results, Row

SQLITE, POSTGRES, TWICE = "ours (SQLite)", "ours (Postgres)", "ours (Postgres, 2 processes)"
BOUND = "nginx + Lua meter"
"""What a compiled hot path could reach, on the same work."""

_TIMES = {"Portkey": 6, "ferrogw with its log": 10, "LiteLLM": 30, "TensorZero": 1}
_MOST_CPU_MS = 0.15
_MOST_ADDED_MS = {SQLITE: 0.5, POSTGRES: 0.8}
_MOST_FIRST_BYTE_MS = {SQLITE: 0.8, POSTGRES: 1.0}
_MOST_CHUNK_US = 40
_LEAST_CHUNKS = 20_000
_MOST_LOST_PERCENT = 15
_MOST_TIMES_FLAT = 1.25


@dataclass(frozen=True)
class Verdict:
    target: str
    is_met: bool
    found: str
    bound: str = ""

    def __str__(self) -> str:
        bound = f"; {BOUND}: {self.bound}" if self.bound and not self.is_met else ""
        return f"target {self.target}: {'met' if self.is_met else 'MISSED'} ({self.found}{bound})"


def verdicts(results: Results, flatness: Sequence[Flatness]) -> Iterator[Verdict]:
    yield from _throughput(results)
    for name in (SQLITE, POSTGRES):
        yield from _cpu(results, name)
        yield from _added(results, name)
        yield from _first_byte(results, name)
        yield from _chunks(results, name)
    yield from _two_processes(results)
    yield from _flat(flatness)


def _throughput(results: Results) -> Iterator[Verdict]:
    ours = _median(results, SQLITE, PLAIN, 32, _rate)
    bound = _median(results, BOUND, PLAIN, 32, _rate)
    for peer, times in _TIMES.items():
        theirs = _median(results, peer, PLAIN, 32, _rate)
        if ours and theirs:
            yield Verdict(
                f"{times}x {peer} at 32, {SQLITE}",
                ours / theirs >= times,
                f"{ours / theirs:.2f}x: {ours:,.0f} to {theirs:,.0f} requests/s",
                f"{bound:,.0f} requests/s" if bound else "",
            )


def _cpu(results: Results, name: str) -> Iterator[Verdict]:
    found = _median(results, name, PLAIN, 32, _cpu_ms)
    bound = _median(results, BOUND, PLAIN, 32, _cpu_ms)
    if found is not None:
        target = f"CPU <= {_MOST_CPU_MS} ms a request at 32, {name}"
        yield _at_most(target, found, _MOST_CPU_MS, bound, "ms")


def _added(results: Results, name: str) -> Iterator[Verdict]:
    def added(row: Row) -> float:
        return row.added_p50_ms

    found = _median(results, name, PLAIN, 1, added)
    if found is not None:
        most = _MOST_ADDED_MS[name]
        bound = _median(results, BOUND, PLAIN, 1, added)
        yield _at_most(f"p50 added <= {most} ms at 1, {name}", found, most, bound, "ms")


def _first_byte(results: Results, name: str) -> Iterator[Verdict]:
    found, bound = _over_nginx(results, name), _over_nginx(results, BOUND)
    if found is not None:
        most = _MOST_FIRST_BYTE_MS[name]
        target = f"first byte of a paced stream <= {most} ms over nginx, {name}"
        yield _at_most(target, found, most, bound, "ms")


def _over_nginx(results: Results, name: str) -> float | None:
    result, nginx = results.get((name, PACED, 1)), results.get(("nginx", PACED, 1))
    return result.over(nginx, lambda row: row.first_byte_p50_ms) if result and nginx else None


def _chunks(results: Results, name: str) -> Iterator[Verdict]:
    for connections in (1, 8):
        found = _median(results, name, PACED, connections, _chunk_us)
        bound = _median(results, BOUND, PACED, connections, _chunk_us)
        if found is not None:
            target = f"CPU <= {_MOST_CHUNK_US} us a chunk, paced, at {connections}, {name}"
            yield _at_most(target, found, _MOST_CHUNK_US, bound, "us")
    rate = _median(results, name, BURST, 32, _rate)
    if rate is not None:
        target = f"{_LEAST_CHUNKS:,} chunks/s in bursts at 32, {name}"
        yield Verdict(target, rate >= _LEAST_CHUNKS, f"{rate:,.0f}")


def _two_processes(results: Results) -> Iterator[Verdict]:
    one = _median(results, POSTGRES, PLAIN, 32, _cpu_ms)
    two = _median(results, TWICE, PLAIN, 32, _cpu_ms)
    if one and two:
        lost = (two / one - 1) * 100
        target = f"two processes on Postgres lose <= {_MOST_LOST_PERCENT} % CPU a request at 32"
        found = f"{lost:+.0f} %: {one:.3f} to {two:.3f} ms"
        yield Verdict(target, lost <= _MOST_LOST_PERCENT, found)


def _flat(flatness: Sequence[Flatness]) -> Iterator[Verdict]:
    for f in flatness:
        # Of CPU time: the median varies with the machine's other load.
        ratio = f.big_cpu_ms / max(f.small_cpu_ms, 0.001)
        found = f"{ratio:.2f}x the CPU, big to small"
        yield Verdict(f"flat at {f.connections}", ratio <= _MOST_TIMES_FLAT, found)


def _at_most(target: str, found: float, most: float, bound: float | None, unit: str) -> Verdict:
    of_bound = "" if bound is None else f"{bound:.3g} {unit}"
    return Verdict(target, found <= most, f"{found:.3g} {unit}", of_bound)


def _median(
    results: Results, peer: str, kind: str, connections: int, figure: Figure
) -> float | None:
    result = results.get((peer, kind, connections))
    return result.median(figure) if result else None


def _rate(row: Row) -> float:
    return row.rate


def _cpu_ms(row: Row) -> float:
    return row.cpu_ms_per_request


def _chunk_us(row: Row) -> float:
    return row.cpu_us_per_chunk
