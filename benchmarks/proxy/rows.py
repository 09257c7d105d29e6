"""What was measured: a row per load and round, and results over all rounds."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.proxy.peers.peer import PLAIN


@dataclass(frozen=True)
class Row:
    """One load on one peer. CPU is the peer's own; its database's is apart."""

    peer: str
    durable: str
    kind: str
    connections: int
    turn: int
    """The number of the round."""
    rps: float
    chunks_per_second: int
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    cpu_ms_per_request: float
    cpu_us_per_chunk: float
    """With the chunk's share of its request. 0 for plain requests."""
    database_cpu_ms_per_request: float
    memory_mb: int
    failures: int
    reconnects: int
    direct_p50_ms: float = 0
    """Without a peer, measured next to it: set for plain requests at one connection."""

    @property
    def rate(self) -> float:
        return self.rps if self.kind == PLAIN else self.chunks_per_second

    @property
    def added_p50_ms(self) -> float:
        return self.p50_ms - self.direct_p50_ms


@dataclass(frozen=True)
class Result:
    """The same load on the same peer in every round."""

    rows: tuple[Row, ...]

    @property
    def peer(self) -> str:
        return self.rows[0].peer

    @property
    def durable(self) -> str:
        return self.rows[0].durable

    @property
    def kind(self) -> str:
        return self.rows[0].kind

    @property
    def connections(self) -> int:
        return self.rows[0].connections

    def median(self, figure: "Figure") -> float:
        return statistics.median(map(figure, self.rows))

    def spread(self, figure: "Figure") -> tuple[float, float]:
        """Return the lowest and the highest of all rounds."""
        found = [figure(row) for row in self.rows]
        return min(found), max(found)

    def over(self, other: "Result", figure: "Figure") -> float | None:
        """Return the median of the differences within each round; None if they share none."""
        beside = {row.turn: figure(row) for row in other.rows}
        found = [figure(row) - beside[row.turn] for row in self.rows if row.turn in beside]
        return statistics.median(found) if found else None


Figure = Callable[[Row], float]
Results = dict[tuple[str, str, int], Result]
"""By peer, kind and number of connections, in the order of measuring."""


@dataclass(frozen=True)
class Flatness:
    """The same calls on a small and a big ledger, in turns."""

    connections: int
    small_p50_ms: float
    big_p50_ms: float
    small_cpu_ms: float
    big_cpu_ms: float


def results(rows: Sequence[Row]) -> Results:
    by_load: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        by_load.setdefault((row.peer, row.kind, row.connections), []).append(row)
    return {load: Result(tuple(found)) for load, found in by_load.items()}
