"""What a peer is: where it answers, which processes it costs, and what it has kept by then."""

import time
from dataclasses import dataclass, field
from typing import Literal

import psutil

PLAIN, PACED, BURST = "plain", "paced", "burst"
KINDS = (PLAIN, PACED, BURST)

Durable = Literal["nothing", "memory queue", "written to the OS", "fsynced"]
"""What a gateway has recorded of a call when the caller has the answer. A memory queue is lost
when the process is killed; what is written to the OS, in a power cut."""


class Missing(Exception):
    """This peer is not available here; the message says why."""


@dataclass(frozen=True)
class Peer:
    name: str
    urls: tuple[str, ...]
    """Connections take them in turns; `{n}` stands for the agent's number."""
    processes: tuple[psutil.Process, ...]
    durable: Durable
    headers: dict[str, str] = field(default_factory=dict[str, str])
    model: str = "demo-chat"
    kinds: tuple[str, ...] = KINDS
    database: psutil.Process | None = None
    """Counted separately from the peer itself."""

    def cpu_seconds(self) -> float:
        return sum(_cpu_seconds(p) for p in _families(*self.processes))

    def database_cpu_seconds(self) -> float:
        return sum(_cpu_seconds(p) for p in _families(self.database)) if self.database else 0

    def memory_mb(self) -> int:
        return round(sum(p.memory_info().rss for p in _families(*self.processes)) / 1e6)


def _families(*parents: psutil.Process) -> list[psutil.Process]:
    return [p for parent in parents for p in (parent, *parent.children(recursive=True))]


def _cpu_seconds(process: psutil.Process) -> float:
    """Return user and system time, with that of the children that have already ended."""
    times = process.cpu_times()
    own = _exact_cpu_seconds(process.pid) if psutil.LINUX else times.user + times.system
    return own + times.children_user + times.children_system


def _exact_cpu_seconds(pid: int) -> float:
    """Return what the process has used in all its threads, to the nanosecond.

    /proc counts in hundredths of a second, too coarse for a thousand chunks. The clock's number
    is what clock_getcpuclockid(3) returns.
    """
    return time.clock_gettime((~pid << 3) | 2)
