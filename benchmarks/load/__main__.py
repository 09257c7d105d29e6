"""The production shape under load: `make bench-load`.

500 open pages, 50 answers at once, short answers and model calls as fast as they go, through one
server process and through two. Writes benchmarks/results/load.md. PAGES, PEOPLE (who ask at once)
and ROUNDS may be less for a trial.
"""

import asyncio
import os
import platform as machine
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks.load import report
from benchmarks.load.phases import Phases, measure_all
from benchmarks.load.proxy_alone import proxy_alone
from tests.stack.platform import StackPlatform

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    # Ending the benchmark early ends the stack too.
    signal.signal(signal.SIGTERM, _exit)
    lines = report.lines(_measured(), proxy_alone())
    about = (
        f"Measured {datetime.now(UTC).isoformat(timespec='seconds')} on {machine.machine()},"
        f" {os.cpu_count()} cores, with the load itself on the same machine."
    )
    text = "\n".join([about, "", *lines]) + "\n"
    print(text)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "load.md").write_text(text)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


def _measured() -> Phases:
    folder = Path(tempfile.mkdtemp(prefix="bench-load-"))
    # If we are root, Postgres's user must be able to enter it.
    folder.chmod(0o711)
    stack = StackPlatform(folder / "data")
    try:
        stack.start(GATEWAY_DATABASE="no", USER_DEFAULT_BUDGET="1000")
        return asyncio.run(measure_all(stack))
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
