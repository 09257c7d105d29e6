"""A turn's run at the agent runtime: which one it is, and how it is stopped."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.values.ids import AgentId, TurnId

STOP_SECONDS = 1.0
STOP_AGAIN_SECONDS = 0.3
STOP_ATTEMPTS = 30
"""How often a stop is attempted before we give up; the run's calls are refused anyway."""


@dataclass
class AgentRun:
    """The run of one turn. `run_id` is None until the runtime has reported it."""

    ctx: AppContext
    turn_id: TurnId
    agent_id: AgentId | None = None
    run_id: str | None = None
    has_begun: bool = False
    """The message was posted, or is being posted."""
    began_ns: int = 0
    """Since when this process follows it; 0 if it does not."""
    is_over: bool = False
    """It ended by itself, or the runtime has confirmed that it was stopped."""
    was_told_to_stop: bool = False

    @property
    def is_loose(self) -> bool:
        """Whether it may still be going on at the runtime."""
        return self.has_begun and not self.is_over

    def begin(self) -> None:
        """Note that the message is about to be posted, or the run to be followed."""
        self.has_begun = True
        self.began_ns = time.time_ns()

    def ended(self) -> None:
        """Note that the run's events have ended: after a stop request that alone proves nothing."""
        self.is_over = self.is_over or not self.was_told_to_stop

    async def stop(self) -> bool:
        """End the turn's calls and its run, no others; False when the runtime did not answer."""
        self.was_told_to_stop = True
        self.ctx.open_calls.abort(self.turn_id)
        if self.agent_id is None:
            return True
        with suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                run_id = self.run_id
                await self.ctx.runtime.cancel(self.agent_id, run_id)
            # Without an id the run may not have begun yet, and may still do so.
            self.is_over = self.is_over or run_id is not None
            return True
        return False

    async def stop_if_loose(self) -> None:
        """Stop the run if it could outlive its turn."""
        if self.is_loose:
            await self.stop()

    async def stop_until(self, is_over: asyncio.Event) -> None:
        """Repeat the stop until the run is over, since it may not have begun yet."""
        for _ in range(STOP_ATTEMPTS):
            await self.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_AGAIN_SECONDS):
                    await is_over.wait()
                return
