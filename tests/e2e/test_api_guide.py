"""docs/api-guide.md: every example runs as printed, in order, on the real chain."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.platform import Platform

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "api-guide.md"


def run_examples(language: str, platform: Platform, *command: str) -> str:
    examples = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    script = "\n".join(examples).replace("http://localhost:8000", platform.url)
    done = subprocess.run(
        [*command, script], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guides_examples_work_as_printed(platform: Platform):
    told = run_examples("bash", platform, "bash", "-euo", "pipefail", "-c")
    printed = run_examples("python", platform, sys.executable, "-c")

    assert '"token":"cp_' in told
    assert "event: turn.completed" in told
    assert "4471" in told
    assert '"code"' not in told
    assert "cost: 0." in printed
    assert re.search(r"^chat demo-chat 0\.\d+$", printed, re.M)
    assert "of 5.00" in printed
