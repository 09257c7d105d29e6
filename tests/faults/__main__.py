"""`python -m tests.faults`: explore with new seeds, or replay one.

python -m tests.faults --seconds 600 [--database sqlite|postgres|both]
python -m tests.faults --seed 4711 --database postgres [--log]
"""

import argparse
import sys
import time
from collections import Counter
from random import SystemRandom

from tests.faults.databases import DatabaseKind, Databases, open_databases
from tests.faults.laws import LAWS
from tests.faults.runs import Report, be_quiet, run_seed


def main() -> int:
    asked = _arguments()
    if not asked.log:
        be_quiet()
    kinds: list[DatabaseKind] = ["sqlite", "postgres"]
    kinds = [kind for kind in kinds if asked.database in (kind, "both")]
    failed = 0
    for kind in kinds:
        with open_databases(kind) as databases:
            if asked.seed is not None:
                failed += _tell(run_seed(asked.seed, databases), kind)
            else:
                failed += _explore(databases, kind, asked.seconds / len(kinds))
    return 1 if failed else 0


def _explore(databases: Databases, kind: DatabaseKind, seconds: float) -> int:
    began = time.monotonic()
    seeds = SystemRandom()
    failed = runs = turns = calls = 0
    troubles: Counter[str] = Counter()
    while time.monotonic() - began < seconds:
        report = run_seed(seeds.randrange(10**9), databases)
        failed += _tell(report, kind)
        runs += 1
        turns += report.turns
        calls += report.calls
        troubles += report.troubles
    print(
        f"{kind}: {runs} runs in {time.monotonic() - began:.0f} s, {turns} turns, {calls} model"
        f" calls, {sum(troubles.values())} faults, {len(LAWS)} laws each, {failed} broken"
    )
    for trouble, number in troubles.most_common():
        print(f"  {number:6} {trouble}")
    return failed


def _tell(report: Report, kind: DatabaseKind) -> int:
    for broken in report.broken:
        print(f"seed {report.seed} on {kind} breaks {broken}")
    if report.broken:
        command = f"python -m tests.faults --seed {report.seed} --database {kind}"
        print(f"seed {report.seed}: replay it with `{command}`", flush=True)
    return 1 if report.broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--log", action="store_true", help="show the platform's own log")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
