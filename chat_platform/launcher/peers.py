"""What the launcher knows about a peer: how to start it, and how to check that it is ready."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.processes import Program, Running, tail

_POLL_SECONDS = 0.1

# Peers get only these variables of our environment: no other program's keys reach them.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
# These point to our own files, when another user runs the peer.
_OURS = ("HOME", "TMPDIR")


@dataclass(frozen=True)
class Peer:
    """A server that we run. `title` is for people; `is_ready` never raises."""

    title: str
    program: Program
    url: str
    is_ready: Callable[[], Awaitable[bool]]
    ready_seconds: float = 240


async def wait_until_ready(peer: Peer, running: Running) -> None:
    """Return once the peer is ready. Raises LaunchFailed if it exits or does not respond."""
    log = running.program.log
    try:
        async with asyncio.timeout(peer.ready_seconds):
            while not await peer.is_ready():
                if (code := running.exit_code()) is not None:
                    raise LaunchFailed(
                        f"{peer.title} ended with code {code} while starting.",
                        way_out=f"The end of its log {log}:\n{tail(log)}",
                    )
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as exc:
        raise LaunchFailed(
            f"{peer.title} did not answer within {peer.ready_seconds:.0f} seconds.",
            way_out=f"The end of its log {log}:\n{tail(log)}",
        ) from exc


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe that tells whether GET succeeds."""

    async def probe() -> bool:
        try:
            # Peers speak plain HTTP: do not read the machine's certificates at every look.
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5) as client:  # noqa: S501
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return probe


def bare_environment(*, home: Path | None = None) -> dict[str, str]:
    """Return the environment for a peer; with `home`, without anything that points to ours."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if home is None:
        return passed
    kept = {name: value for name, value in passed.items() if name not in _OURS}
    return {**kept, "HOME": str(home)}
