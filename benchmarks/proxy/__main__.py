"""Runs the same work through every peer, one after the other, and prints tables and ratios.

make bench-proxy        (python -m benchmarks.proxy [--seconds 3] [--only direct,portkey])
"""

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from benchmarks.proxy import peers, report
from benchmarks.proxy.peers import ROOT, Missing, Peer
from benchmarks.proxy.report import Flatness, Row

CONNECTIONS = (1, 32, 256)
RESULTS = ROOT / "benchmarks" / "results"
WARM_UP_SECONDS = 0.7
ROUNDS = 4
SLACK_SECONDS = 30
"""How long a load may take beyond its time, before its peer is given up."""


def main() -> None:
    # Otherwise what was started would outlive a run that is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--no-flatness", action="store_true")
    parser.add_argument("--only", default="", help="names of the peers' functions, with commas")
    options = parser.parse_args()
    chosen = set(options.only.split(",")) - {""}
    rows: list[Row] = []
    flatness: list[Flatness] = []
    with peers.upstream() as model_port:
        for start in peers.ALL:
            if not chosen or start.__name__ in chosen:
                rows += _rows(start, model_port, options.seconds)
                # After every peer: a run that is cut short leaves what it has.
                _write(rows, flatness)
        if not chosen and not options.no_flatness:
            flatness += _flatness(model_port)
            _write(rows, flatness)
    print("\n".join([*report.lines(rows, flatness), "", "For the README:", ""]))
    print("\n".join(report.short_table(rows)))


def _rows(start: Any, model_port: int, seconds: float) -> Iterator[Row]:
    opened: AbstractContextManager[Peer] = start(model_port)
    try:
        with opened as peer, peers.direct(model_port) as direct:
            for kind in peer.kinds:
                for connections in CONNECTIONS:
                    row = _warm_measure(peer, kind, connections, seconds)
                    if connections == 1:
                        beside = _warm_measure(direct, kind, 1, seconds / 2)
                        row = replace(
                            row,
                            direct_p50_ms=beside.p50_ms,
                            direct_first_byte_ms=beside.first_byte_p50_ms,
                        )
                    print(f"  {row.peer} {kind} c={connections}: {row.rate:.0f}/s", file=sys.stderr)
                    yield row
    except (Missing, subprocess.SubprocessError) as missing:
        print(f"skipped: {missing}", file=sys.stderr)


def _flatness(model_port: int) -> list[Flatness]:
    """Measure a small and a big ledger in turns, so that the machine's moods meet both."""
    print("  filling the big ledger", file=sys.stderr)
    with (
        peers.sized_ledger(report.SMALL, model_port) as small,
        peers.sized_ledger(report.BIG, model_port, accounts=10_000, calls=1_000_000) as big,
    ):
        return [_compared(small, big, connections) for connections in (1, 32)]


def _compared(small: Peer, big: Peer, connections: int) -> Flatness:
    for peer in (small, big):
        _measure(peer, "plain", connections, seconds=WARM_UP_SECONDS)
    found = [
        (
            _measure(small, "plain", connections, seconds=1),
            _measure(big, "plain", connections, seconds=1),
        )
        for _ in range(ROUNDS)
    ]
    return Flatness(
        connections,
        small_p50_ms=statistics.median(row.p50_ms for row, _ in found),
        big_p50_ms=statistics.median(row.p50_ms for _, row in found),
        small_cpu_ms=statistics.median(row.cpu_ms_per_request for row, _ in found),
        big_cpu_ms=statistics.median(row.cpu_ms_per_request for _, row in found),
    )


def _warm_measure(peer: Peer, kind: str, connections: int, seconds: float) -> Row:
    _measure(peer, kind, connections, seconds=WARM_UP_SECONDS)
    return _measure(peer, kind, connections, seconds=seconds)


def _measure(peer: Peer, kind: str, connections: int, *, seconds: float) -> Row:
    before = peer.cpu_seconds()
    command = [sys.executable, "-m", "benchmarks.proxy.load", peer.url, str(connections)]
    command += [str(seconds), kind, json.dumps(peer.headers)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + SLACK_SECONDS,
    )
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


def _write(rows: list[Row], flatness: list[Flatness]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    measured = {"rows": [asdict(row) for row in rows], "flatness": [asdict(f) for f in flatness]}
    (RESULTS / "proxy.json").write_text(json.dumps({**about, **measured}, indent=1) + "\n")
    said = [f"`make bench-proxy`, {about['at']}.", "", *report.lines(rows, flatness)]
    (RESULTS / "proxy.md").write_text("\n".join(said) + "\n")


if __name__ == "__main__":
    main()
