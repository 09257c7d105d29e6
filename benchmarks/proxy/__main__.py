"""Runs the same work through every peer, in rounds, and prints tables, ratios and targets.

In each round every peer is started, measured and stopped, one after the other: an idle peer would
take memory and CPU from the others. `--only` takes the names of the peers' functions; `--before`
measures another commit of ours too.

make bench-proxy        (python -m benchmarks.proxy [--seconds 2] [--rounds 3] [--only nginx])
make bench-proxy BEFORE=../before   (this and another commit of ours, and nothing else)
"""

import argparse
import json
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.proxy import peers, report
from benchmarks.proxy.flatness import flatness
from benchmarks.proxy.measuring import prove, warm_measure
from benchmarks.proxy.peers.ours import before
from benchmarks.proxy.peers.peer import BURST, PACED, PLAIN, Missing, Peer
from benchmarks.proxy.peers.processes import ROOT
from benchmarks.proxy.peers.upstream import direct, upstream
from benchmarks.proxy.rows import Flatness, Row

CONNECTIONS = {PLAIN: (1, 32, 256), PACED: (1, 8), BURST: (32,)}
RESULTS = ROOT / "benchmarks" / "results"
Start = Callable[[int], AbstractContextManager[Peer]]


@dataclass
class Run:
    rows: list[Row] = field(default_factory=list[Row])
    flatness: list[Flatness] = field(default_factory=list[Flatness])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """Reasons by peer. A peer that was skipped once is not tried again."""

    def lines(self) -> list[str]:
        missing = [f"skipped {name}: {why}" for name, why in self.skipped.items()]
        return [*report.lines(self.rows, self.flatness), *missing]


def main() -> None:
    # Otherwise the started processes would outlive a run that is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-flatness", action="store_true")
    parser.add_argument("--only", default="", help="names of the peers' functions, with commas")
    parser.add_argument("--before", type=Path, help="a folder with another commit and its .venv")
    options = parser.parse_args()
    chosen = set(options.only.split(",")) - {""}
    starts = [start for start in peers.ALL if not chosen or start.__name__ in chosen]
    starts += before(options.before) if options.before else []
    run = Run()
    with upstream() as model_port:
        for turn in range(options.rounds):
            # There and back, so that no peer always follows the same one.
            order = starts if turn % 2 == 0 else starts[::-1]
            _round(run, order, model_port, turn=turn, seconds=options.seconds)
        if not chosen and not options.no_flatness:
            run.flatness += flatness(model_port)
            _write(run)
    print("\n".join([*run.lines(), "", "For the README:", ""]))
    print("\n".join(report.short_table(run.rows)))


def _round(run: Run, starts: list[Start], model_port: int, *, turn: int, seconds: float) -> None:
    for start in starts:
        name = start.__name__
        if name in run.skipped:
            continue
        try:
            # Row by row: if the peer fails, what it has answered so far stays.
            for row in _rows(start, model_port, turn=turn, seconds=seconds):
                run.rows.append(row)
                print(
                    f"  round {turn + 1}: {row.peer} {row.kind} c={row.connections}:"
                    f" {row.rate:.0f}/s",
                    file=sys.stderr,
                )
        except (Missing, subprocess.SubprocessError, httpx.HTTPError) as missing:
            run.skipped[name] = str(missing)
            print(f"  skipped {name}: {missing}", file=sys.stderr)
        # After every peer, so that an interrupted run leaves its results so far.
        _write(run)


def _rows(start: Start, model_port: int, *, turn: int, seconds: float) -> Iterator[Row]:
    with start(model_port) as peer, direct(model_port) as bare:
        prove(peer)
        for kind in peer.kinds:
            for connections in CONNECTIONS[kind]:
                row = warm_measure(peer, kind, connections, seconds, turn)
                if (kind, connections) == (PLAIN, 1):
                    beside = warm_measure(bare, PLAIN, 1, seconds / 2)
                    row = replace(row, direct_p50_ms=beside.p50_ms)
                yield row


def _write(run: Run) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    (RESULTS / "proxy.json").write_text(json.dumps({**about, **asdict(run)}, indent=1) + "\n")
    said = [f"`make bench-proxy`, {about['at']}.", "", *run.lines()]
    (RESULTS / "proxy.md").write_text("\n".join(said) + "\n")


if __name__ == "__main__":
    main()
