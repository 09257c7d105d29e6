"""Stops the server in order: on SIGTERM running turns finish first, then the web server stops.

The web server would stop at once, but running turns need it: their agents call models through our
proxy. So we handle SIGTERM, and send the web server SIGINT afterwards.
"""

import asyncio
import os
import signal
import threading

import structlog

from chat_platform.context import AppContext
from chat_platform.turns.recovery import drain

log = structlog.get_logger()

GRACE_SECONDS = 15.0
"""How long running turns may continue; shorter than the usual timeout before a kill."""


def drain_on_sigterm(ctx: AppContext) -> None:
    """Handle SIGTERM. A second one stops at once. Call it when the web server is set up."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    stops: list[asyncio.Task[None]] = []

    def begin() -> None:
        if stops:
            # Those who wait for an answer would keep the web server waiting, too.
            ctx.running_turns.leaving.set()
            _stop_serving()
        else:
            stops.append(loop.create_task(_drain_then_stop(ctx)))

    loop.add_signal_handler(signal.SIGTERM, begin)


async def _drain_then_stop(ctx: AppContext) -> None:
    log.info("server.draining", turns=len(ctx.running_turns.ids))
    try:
        await drain(ctx, grace_seconds=GRACE_SECONDS)
    finally:
        _stop_serving()


def _stop_serving() -> None:
    # Both granian and uvicorn stop in order on SIGINT.
    os.kill(os.getpid(), signal.SIGINT)
