"""A log stays short while its program writes on, and nobody else can read it or its copy."""

import subprocess
import sys
from pathlib import Path

import pytest

from chat_platform.launcher.log_files import keep_short, open_log

LINES = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
LONGEST = 1_000


def test_a_program_writes_on_after_its_log_was_rotated(tmp_path: Path):
    log, copy = tmp_path / "logs" / "letta.log", tmp_path / "logs" / "letta.old.log"
    with open_log(log) as out:
        program = subprocess.Popen([sys.executable, "-c", LINES], stdin=subprocess.PIPE, stdout=out)
    assert program.stdin
    sizes: list[int] = []

    for number in range(100):
        program.stdin.write(b"%05d %s\n" % (number, b"x" * 93))
        program.stdin.flush()
        while f"{number:05}" not in log.read_text():
            assert program.poll() is None
        keep_short(log, longest_bytes=LONGEST)
        sizes.append(log.stat().st_size)

    program.stdin.close()
    program.wait()
    assert max(sizes) <= LONGEST
    kept = copy.read_text() + log.read_text()
    # A line that came whole is in one of the two: nothing was lost at the last rotation.
    assert [line[:5] for line in kept.splitlines()] == [f"{n:05}" for n in range(88, 100)]
    assert {file.stat().st_mode & 0o777 for file in (log, copy)} == {0o600}


def test_a_log_that_grew_enormously_does_not_take_up_the_disk_twice(tmp_path: Path):
    log = tmp_path / "letta.log"
    log.write_bytes(b"x" * (10 * LONGEST) + b"the end")

    keep_short(log, longest_bytes=LONGEST)

    copy = log.with_suffix(".old.log").read_bytes()
    assert (log.stat().st_size, len(copy)) == (0, 2 * LONGEST)
    assert copy.endswith(b"the end")


@pytest.mark.parametrize("size", [0, LONGEST])
def test_a_short_log_stays(tmp_path: Path, size: int):
    log = tmp_path / "letta.log"
    log.write_bytes(b"x" * size)

    keep_short(log, longest_bytes=LONGEST)

    assert log.stat().st_size == size


def test_a_log_that_is_not_there_needs_nothing(tmp_path: Path):
    keep_short(tmp_path / "letta.log")

    assert not list(tmp_path.iterdir())
