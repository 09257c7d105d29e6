"""Starts peers, restarts them when they die, and stops them in reverse order."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.log_files import LONGEST_BYTES, keep_short
from chat_platform.launcher.peers import Peer, wait_until_ready
from chat_platform.launcher.processes import Running

log = structlog.get_logger()

_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
"""After running this long, a peer's next failure counts as its first."""
_LOG_CHECK_SECONDS = 10.0


@dataclass
class PeerState:
    """What `chat-platform status` shows for a peer."""

    title: str
    url: str
    state: Literal["starting", "running", "restarting", "stopped"] = "starting"
    pid: int | None = None
    restarts: int = 0
    last_failure: str = ""


class Supervisor:
    """Keeps peers running until told to stop. `on_change` is called with every new state."""

    def __init__(
        self,
        records: Path,
        on_change: Callable[[], None] = lambda: None,
        *,
        log_check_seconds: float = _LOG_CHECK_SECONDS,
        longest_log_bytes: int = LONGEST_BYTES,
    ) -> None:
        self.states: dict[str, PeerState] = {}
        self._records = records
        self._on_change = on_change
        self._log_check_seconds = log_check_seconds
        self._longest_log_bytes = longest_log_bytes
        self._running: dict[str, Running] = {}
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self, peer: Peer) -> None:
        """Return once the peer is ready; from then on it is kept running. Raises LaunchFailed."""
        self.states[peer.program.name] = PeerState(peer.title, peer.url)
        await self._start_once(peer)
        self._watchers.append(asyncio.create_task(self._keep(peer)))
        self._watchers.append(asyncio.create_task(self._keep_log_short(peer.program.log)))

    async def stop(self) -> None:
        """Stop everything that was started, in reverse order. No process is left."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for name, running in reversed(self._running.items()):
            await asyncio.to_thread(running.stop)
            self._set(name, state="stopped", pid=None)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        return {name: asdict(state) for name, state in self.states.items()}

    async def _start_once(self, peer: Peer) -> None:
        name = peer.program.name
        running = self._running[name] = Running(peer.program, self._records)
        self._set(name, pid=running.pid)
        await wait_until_ready(peer, running)
        self._set(name, state="running")

    async def _keep(self, peer: Peer) -> None:
        name = peer.program.name
        back_off = _FIRST_BACK_OFF_SECONDS
        while True:
            lived = await self._until_it_ends(name)
            back_off = _FIRST_BACK_OFF_SECONDS if lived > _HEALTHY_SECONDS else back_off
            await self._restart(peer, back_off)
            back_off = min(2 * back_off, _LONGEST_BACK_OFF_SECONDS)

    async def _keep_log_short(self, file: Path) -> None:
        while True:
            await asyncio.sleep(self._log_check_seconds)
            try:
                await asyncio.to_thread(keep_short, file, longest_bytes=self._longest_log_bytes)
            except OSError as exc:
                log.warning("peer.log_not_shortened", file=file.name, reason=str(exc))

    async def _until_it_ends(self, name: str) -> float:
        started = time.monotonic()
        await self._running[name].ended()
        return time.monotonic() - started

    async def _restart(self, peer: Peer, back_off: float) -> None:
        name = peer.program.name
        code = self._running[name].exit_code()
        failure = f"ended with code {code}"
        restarts = self.states[name].restarts + 1
        self._set(name, state="restarting", pid=None, restarts=restarts, last_failure=failure)
        log.warning("peer.restarting", peer=name, code=code, wait_seconds=back_off)
        # Its workers may still be running and hold its port.
        await asyncio.to_thread(self._running[name].stop)
        await asyncio.sleep(back_off)
        try:
            await self._start_once(peer)
        except LaunchFailed as exc:
            log.warning("peer.start_failed", peer=name, reason=exc.message)
            await asyncio.to_thread(self._running[name].stop)

    def _set(self, name: str, **changes: Any) -> None:
        for field, value in changes.items():
            setattr(self.states[name], field, value)
        self._on_change()
