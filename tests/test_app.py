"""What the server does once, at startup."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import clean_environment

SERVE = """
import asyncio, gc
from chat_platform.app import lifespan

async def serve():
    async with lifespan():
        print(gc.get_threshold()[0], gc.get_freeze_count(), len(gc.get_objects()))

asyncio.run(serve())
"""


@pytest.mark.programs
def test_the_collector_passes_over_what_was_loaded_at_the_start(tmp_path: Path):
    served = subprocess.run(
        [sys.executable, "-c", SERVE],
        env=clean_environment(ENVIRONMENT="test", DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    threshold, frozen, looked_through = map(int, served.stdout.split()[-3:])
    assert threshold >= 10_000
    assert frozen > 100_000
    assert looked_through < frozen / 10
