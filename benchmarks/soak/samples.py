"""What a server process holds: memory, open files and sockets, tasks. And whether it grows."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import httpx
import psutil

from benchmarks.load.parts import memory_mb
from tests.stack.platform import StackPlatform

MOST_GROWTH_MB = 30.0
MOST_GROWTH_SHARE = 0.15
MOST_MORE = 20
"""Sockets or tasks. Pools of connections breathe by a few."""


@dataclass(frozen=True)
class Sample:
    QUANTITIES: ClassVar[tuple[str, ...]] = ("memory_mb", "sockets", "tasks")

    pid: int
    memory_mb: float
    sockets: int
    tasks: int


def sample(stack: StackPlatform, server: str) -> Sample | None:
    """Return what the server holds; None while it does not answer."""
    try:
        leader = psutil.Process(stack.pid_of(server))
        family = [leader, *leader.children(recursive=True)]
        sockets = sum(len(process.net_connections()) for process in family)
        url = f"http://127.0.0.1:{stack.port_of(server)}/metrics"
        token = stack.told()["METRICS_TOKEN"]
        answer = httpx.get(
            url, headers={"Authorization": f"Bearer {token}"}, timeout=5, verify=False
        )
        return Sample(leader.pid, memory_mb(family), sockets, _tasks(answer.text))
    except (OSError, ValueError, AssertionError, StopIteration, psutil.Error, httpx.HTTPError):
        return None


def _tasks(exposition: str) -> int:
    prefix = "chat_platform_tasks "
    line = next(line for line in exposition.splitlines() if line.startswith(prefix))
    return int(float(line.removeprefix(prefix)))


def growth(name: str, before: Sequence[Sample], after: Sequence[Sample]) -> list[str]:
    """Return a line for each quantity whose median has grown too much."""
    found: list[str] = []
    old, new = (_median(samples, "memory_mb") for samples in (before, after))
    if new - old > max(MOST_GROWTH_MB, MOST_GROWTH_SHARE * old):
        found.append(f"{name}: memory grew from {old:.0f} to {new:.0f} MB")
    for quantity in ("sockets", "tasks"):
        old, new = (_median(samples, quantity) for samples in (before, after))
        if new - old > MOST_MORE:
            found.append(f"{name}: {quantity} grew from {old:.0f} to {new:.0f}")
    return found


def _median(samples: Sequence[Sample], quantity: str) -> float:
    return statistics.median(getattr(each, quantity) for each in samples)
