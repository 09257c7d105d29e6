"""What each part of the stack uses of the machine: memory, and CPU over a span of time."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Used:
    """Over a span of time: the cores that each part kept busy, and its memory at the end."""

    seconds: float = 0.0
    cores: dict[str, float] = field(default_factory=dict[str, float])
    memory_mb: dict[str, float] = field(default_factory=dict[str, float])
    machine: float = 0.0
    """The share of the whole machine that was busy, with everything else that ran on it."""

    @property
    def busiest(self) -> str:
        return max(self.cores, key=lambda part: self.cores[part])


@contextmanager
def used_by(data_dir: Path) -> Iterator[Used]:
    """Fill in what the parts of the platform in this folder use until the block ends."""
    used, began = Used(), time.monotonic()
    before = {part: cpu_seconds(family) for part, family in families(data_dir).items()}
    psutil.cpu_percent()
    yield used
    used.machine = psutil.cpu_percent() / 100
    used.seconds = time.monotonic() - began
    for part, family in families(data_dir).items():
        used.cores[part] = (cpu_seconds(family) - before.get(part, 0.0)) / used.seconds
        used.memory_mb[part] = memory_mb(family)


def families(data_dir: Path) -> dict[str, list[psutil.Process]]:
    """Return the processes of every running part."""
    found: dict[str, list[psutil.Process]] = {}
    for file in sorted((data_dir / "run" / "processes").glob("*.json")):
        try:
            leader = psutil.Process(json.loads(file.read_text())["pid"])
            found[file.stem] = [leader, *leader.children(recursive=True)]
        except (OSError, ValueError, psutil.Error):
            continue
    return found


def cpu_seconds(family: list[psutil.Process]) -> float:
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(family: list[psutil.Process]) -> float:
    """Return the memory that is the family's alone: pages that it shares are counted in parts."""
    total = 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6
