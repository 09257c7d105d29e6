"""The table of ASVS requirements is complete, and those that are met name existing tests."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = re.findall(
    r"^\| (\d+)\.(\d+\.\d+) \| ([^|]+) \| (.+) \|$", (ROOT / "docs" / "asvs.md").read_text(), re.M
)
REQUIREMENTS = dict(
    enumerate((27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7), start=1)
)
"""How many requirements of levels 1 and 2 each chapter of ASVS 5.0 has."""


def test_every_requirement_has_its_row():
    numbers = {(int(chapter), rest) for chapter, rest, _, _ in ROWS}

    assert Counter(chapter for chapter, _ in numbers) == REQUIREMENTS
    assert len(ROWS) == len(numbers)


def test_every_row_has_a_status():
    assert {status for _, _, status, _ in ROWS} <= {"met", "partly", "not met", "n/a"}


def test_what_is_met_names_a_test_or_a_document():
    unproven = [
        f"{chapter}.{rest}"
        for chapter, rest, status, held_by in ROWS
        if status == "met" and not re.search(r"test|\.md|`make |paragraph above", held_by)
    ]

    assert unproven == []


@pytest.mark.parametrize("kind", [r"`(tests/[\w/]+(?:\.py)?)`", r"\]\(([\w/.]+\.md)\)"])
def test_every_named_file_exists(kind: str):
    folder = ROOT if "tests" in kind else ROOT / "docs"
    named = {name for *_, text in ROWS for name in re.findall(kind, text)}

    assert {name for name in named if not (folder / name).exists()} == set()


def test_every_named_test_exists():
    source = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    named = {name for *_, text in ROWS for name in re.findall(r"`(test_\w+)`", text)}

    assert {name for name in named if f"def {name}(" not in source} == set()
