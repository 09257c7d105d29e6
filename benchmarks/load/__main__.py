"""The production shape under load: `make bench-load`.

500 open pages, 50 answers at once, short answers and model calls as fast as they go, through one
server process and through two. Writes benchmarks/results/load.md. PAGES, PEOPLE (who ask at once)
and ROUNDS may be less for a trial.
"""

import asyncio

from benchmarks.load import report
from benchmarks.load.phases import Phases, measure_all
from benchmarks.load.proxy_alone import proxy_alone
from benchmarks.stack_runs import publish, running_stack


def main() -> None:
    lines = report.lines(_measured(), proxy_alone())
    publish("load", lines, where=", with the load itself on the same machine")


def _measured() -> Phases:
    with running_stack(GATEWAY_DATABASE="no", USER_DEFAULT_BUDGET="1000") as stack:
        return asyncio.run(measure_all(stack))


if __name__ == "__main__":
    main()
