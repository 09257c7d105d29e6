"""Opens the log files that processes write to, and keeps them short while they are written.

A child writes to its standard output, which it cannot reopen. Since it appends, the file can be
truncated at any time: further output starts at the new end.
"""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

LONGEST_BYTES = 20_000_000
"""The rotated file may be twice as long."""


def open_log(log: Path) -> BinaryIO:
    """Open it for a child to append to, readable by nobody else."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")


def keep_short(log: Path, *, longest_bytes: int = LONGEST_BYTES) -> None:
    """Rotate a long log: copy it aside, replacing the previous copy, and empty it.

    Output between the copy and the truncation is lost: a line or two.
    """
    try:
        if log.stat().st_size <= longest_bytes:
            return
    except FileNotFoundError:
        return
    with open_log(log.with_suffix(".old.log")) as aside, log.open("rb") as source:
        aside.truncate(0)
        # A log that grew enormously within a moment must not take up the disk twice.
        source.seek(max(0, source.seek(0, os.SEEK_END) - 2 * longest_bytes))
        shutil.copyfileobj(source, aside)
    os.truncate(log, 0)
