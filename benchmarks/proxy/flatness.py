"""Compares a small ledger with a big one: a call must cost the same on both."""

import statistics
import sys

from benchmarks.proxy import report
from benchmarks.proxy.measuring import WARM_UP_SECONDS, measure
from benchmarks.proxy.peers.ours import sized_ledger
from benchmarks.proxy.peers.peer import PLAIN, Peer
from benchmarks.proxy.rows import Flatness

_ROUNDS = 4


def flatness(model_port: int) -> list[Flatness]:
    """Measure a small and a big ledger in turns, so that the machine's load affects both."""
    print("  filling the big ledger", file=sys.stderr)
    with (
        sized_ledger(report.SMALL, model_port) as small,
        sized_ledger(report.BIG, model_port, accounts=10_000, calls=1_000_000) as big,
    ):
        return [_compared(small, big, connections) for connections in (1, 32)]


def _compared(small: Peer, big: Peer, connections: int) -> Flatness:
    for peer in (small, big):
        measure(peer, PLAIN, connections, seconds=WARM_UP_SECONDS)
    found = [
        (
            measure(small, PLAIN, connections, seconds=1),
            measure(big, PLAIN, connections, seconds=1),
        )
        for _ in range(_ROUNDS)
    ]
    return Flatness(
        connections,
        small_p50_ms=statistics.median(row.p50_ms for row, _ in found),
        big_p50_ms=statistics.median(row.p50_ms for _, row in found),
        small_cpu_ms=statistics.median(row.cpu_ms_per_request for row, _ in found),
        big_cpu_ms=statistics.median(row.cpu_ms_per_request for _, row in found),
    )
