"""What goes wrong during a soak, one thing a minute."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.stack.platform import StackPlatform
from tests.waiting import is_ok

STEADY = "server-2"
"""The server that nothing kills: how it grows can be seen."""
_FROZEN_SECONDS = 8.0
_CUT = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where pid != pg_backend_pid() and datname is not null"
)


@dataclass(frozen=True)
class Fault:
    name: str
    happen: Callable[[StackPlatform], None]


def faults() -> Iterator[Fault]:
    """Yield them for ever, in the same order."""
    while True:
        yield Fault("kill a server", _kill("server-1"))
        yield Fault("cut all database connections", _cut_database)
        yield Fault("kill Redis", _kill("redis"))
        yield Fault("kill Letta", _kill("letta"))
        yield Fault("freeze Redis for 8 s", _freeze("redis"))
        yield Fault("kill LiteLLM", _kill("litellm"))
        yield Fault("cut all connections at nginx", _cut_nginx)
        yield Fault("kill Postgres", _kill("postgres"))
        yield Fault("terminate a server", _terminate_server)
        yield Fault("freeze Postgres for 8 s", _freeze("postgres"))
        yield Fault("kill the model", _kill("demo-model"))


def _kill(part: str) -> Callable[[StackPlatform], None]:
    def happen(stack: StackPlatform) -> None:
        stack.kill(part)

    return happen


def _freeze(part: str) -> Callable[[StackPlatform], None]:
    """Stop the part and everything that it has started, and let them go on later."""

    def happen(stack: StackPlatform) -> None:
        leader = psutil.Process(stack.pid_of(part))
        family = [leader, *leader.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(_FROZEN_SECONDS)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    return happen


def _cut_database(stack: StackPlatform) -> None:
    stack.rows(_CUT)


def _cut_nginx(stack: StackPlatform) -> None:
    """Its workers hold the connections; the master starts others."""
    for worker in psutil.Process(stack.pid_of("nginx")).children():
        worker.kill()


def _terminate_server(stack: StackPlatform) -> None:
    os.kill(stack.pid_of("server-1"), signal.SIGTERM)


def is_whole(stack: StackPlatform) -> bool:
    """Return whether everything runs, and both servers say that they are ready."""
    urls = _urls(stack)
    return len(urls) > 1 and all(is_ok(f"{url}/api/v1/health/ready") for url in urls)


def _urls(stack: StackPlatform) -> list[str]:
    try:
        return [stack.url, *stack.server_urls]
    except (OSError, ValueError, AssertionError, psutil.Error):
        return []
