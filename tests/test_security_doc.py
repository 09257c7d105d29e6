"""Every promise of the threat model names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROMISES = (ROOT / "docs" / "security.md").read_text().split("## Promises")[1].split("## Not")[0]


def test_every_promise_names_the_tests_that_hold_it():
    lines = [line for line in PROMISES.splitlines() if line.startswith("|")][2:]

    assert [line for line in lines if "test" not in line.rsplit("|", 2)[1]] == []


def test_every_named_test_exists():
    source = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    files = set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", PROMISES))
    functions = set(re.findall(r"`(test_\w+)`", PROMISES))

    assert {name for name in files if not (ROOT / name).exists()} == set()
    assert {name for name in functions if f"def {name}(" not in source} == set()
