"""Runs the same work through every peer, one after the other, and prints a table and ratios.

make bench-proxy        (python -m benchmarks.proxy [--seconds 3] [--only direct,portkey])
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks.proxy import peers
from benchmarks.proxy.peers import ROOT, Missing, Peer

CONNECTIONS = (1, 32, 256)
RESULTS = ROOT / "benchmarks" / "results"
OURS = "ours (SQLite)"
BIG_LEDGER = {"accounts": 10_000, "calls": 1_000_000}


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

    @property
    def rate(self) -> float:
        return self.chunks_per_second if self.kind == "stream" else self.rps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--no-big-ledger", action="store_true")
    parser.add_argument("--only", default="", help="names of the peers' functions, with commas")
    options = parser.parse_args()
    rows: list[Row] = []
    with peers.upstream() as model_port:
        for start in _peers(options):
            rows += _rows(start, model_port, options)
            # After every peer: a run that is cut short leaves what it has.
            _write(rows, _report(rows))
    print("\n".join(_report(rows)))


def _report(rows: list[Row]) -> list[str]:
    return [*_table(rows), "", *_ratios(rows), *_added(rows), *_flatness(rows)]


def _peers(options: argparse.Namespace) -> Iterator[Any]:
    chosen = set(options.only.split(",")) - {""}
    yield from (start for start in peers.ALL if not chosen or start.__name__ in chosen)
    if not chosen and not options.no_big_ledger:
        yield partial(peers.ours_on_sqlite, name="ours (1M rows)", **BIG_LEDGER)


def _rows(start: Any, model_port: int, options: argparse.Namespace) -> Iterator[Row]:
    opened: AbstractContextManager[Peer] = start(model_port)
    try:
        with opened as peer:
            is_big = "1M" in peer.name
            for kind in ("plain",) if is_big else ("plain", "stream"):
                for connections in CONNECTIONS[:2] if is_big else CONNECTIONS:
                    _measure(peer, kind, connections, seconds=1)
                    row = _measure(peer, kind, connections, seconds=options.seconds)
                    print(f"  {row.peer} {kind} c={connections}: {row.rate:.0f}/s", file=sys.stderr)
                    yield row
    except Missing as missing:
        print(f"skipped: {missing}", file=sys.stderr)


def _measure(peer: Peer, kind: str, connections: int, *, seconds: float) -> Row:
    before = peer.cpu_seconds()
    command = [sys.executable, "-m", "benchmarks.proxy.load", peer.url, str(connections)]
    command += [str(seconds), kind, json.dumps(peer.headers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    cpu_ms = (peer.cpu_seconds() - before) * 1000 / max(1, found["requests"])
    return Row(
        peer=peer.name,
        kind=kind,
        connections=connections,
        cpu_ms_per_request=round(cpu_ms, 3),
        memory_mb=peer.memory_mb(),
        **{name: found[name] for name in found if name != "requests"},
    )


def _table(rows: list[Row]) -> list[str]:
    names = ("peer", "kind", "connections", "rps", "chunks/s", "p50 ms", "p99 ms")
    names += ("first byte p50 ms", "CPU ms/request", "memory MB", "failures")
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return lines + [f"| {' | '.join(str(v) for v in asdict(row).values())} |" for row in rows]


def _ratios(rows: list[Row]) -> list[str]:
    """How many times as much goes through ours as through each peer."""
    ours = {(r.kind, r.connections): r.rate for r in rows if r.peer == OURS}
    return [
        f"{r.peer.lower()} {r.kind} c={r.connections} ratio"
        f" {ours[r.kind, r.connections] / r.rate:.2f}x"
        for r in rows
        if not r.peer.startswith("ours") and r.rate and (r.kind, r.connections) in ours
    ]


def _added(rows: list[Row]) -> list[str]:
    """What ours adds to direct: the median at one connection, and a stream's first byte."""
    direct = {(r.kind, r.connections): r for r in rows if r.peer == "direct"}
    lines = []
    for row in rows:
        plain = direct.get((row.kind, 1))
        if row.peer.startswith("ours") and row.connections == 1 and plain:
            first = row.first_byte_p50_ms - plain.first_byte_p50_ms
            what, added = (
                ("first byte", first)
                if row.kind == "stream"
                else (
                    "p50",
                    row.p50_ms - plain.p50_ms,
                )
            )
            lines.append(f"{row.peer} c=1 {what} added {added:.2f} ms")
    return lines


def _flatness(rows: list[Row]) -> list[str]:
    small = next((r for r in rows if r.peer == OURS and r.connections == 1), None)
    big = next((r for r in rows if r.peer == "ours (1M rows)" and r.connections == 1), None)
    if not small or not big:
        return []
    return [f"1,000,000 rows, 10,000 accounts: p50 {big.p50_ms} ms, empty {small.p50_ms} ms"]


def _write(rows: list[Row], lines: list[str]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
    (RESULTS / "proxy.json").write_text(text + "\n")
    (RESULTS / "proxy.md").write_text("\n".join([f"Measured {about['at']}.", "", *lines]) + "\n")


if __name__ == "__main__":
    main()
