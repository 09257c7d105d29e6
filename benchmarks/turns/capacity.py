"""How many concurrent turns one process can run: a fake runtime, a real database, a reader each.

Prints, for each number of turns, the process's peak memory and how late the last word arrived.
"""

import asyncio
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog
from pydantic import SecretStr
from sqlalchemy import insert

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.context import AppContext
from chat_platform.database.engine import migrate, open_engine
from chat_platform.database.writer import GroupWriter
from chat_platform.models import Account
from chat_platform.ports import RunEvent, RunStarted, StepChanged, TextPiece
from chat_platform.settings import Settings
from chat_platform.turns import control
from chat_platform.turns.events import text_of
from chat_platform.turns.recovery import kept_turns
from chat_platform.values.ids import AgentId
from chat_platform.wiring import new_context
from tests.fakes import FakeGateway, FakeMemory, FakeRuntime

COUNTS = (1, 200, 400)
TARGET_COUNT = 200
LIMIT_MIB = 512
WORDS = 200
PACE_SECONDS = 0.05


@dataclass
class PacedRuntime(FakeRuntime):
    """Answers at a reading pace, with a step now and then."""

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        yield RunStarted(None)
        for number in range(WORDS):
            await asyncio.sleep(PACE_SECONDS)
            if number % 40 == 0:
                yield StepChanged("tool_call", "search", "done")
            yield TextPiece(f"word{number} ")


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if len(sys.argv) > 1:
        asyncio.run(measure(int(sys.argv[1])))
        return
    print(f"Turns at once in one process, each {WORDS} words at {PACE_SECONDS * 1000:.0f} ms")
    print(f"{'turns':>6} {'peak MiB':>9} {'seconds':>8} {'ideal':>6} {'cpu %':>6}")
    for count in COUNTS:
        # One process each: memory that was used once is not returned.
        subprocess.run([sys.executable, "-m", "benchmarks.turns.capacity", str(count)], check=True)


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ctx = await _open(Path(folder))
        accounts = await _accounts(ctx, count)
        process = psutil.Process()
        peak = _PeakMemory(process)
        cpu_before, began = sum(process.cpu_times()[:2]), time.monotonic()
        async with kept_turns(ctx):
            replies = await asyncio.gather(*(_talk(ctx, account) for account in accounts))
        seconds = time.monotonic() - began
        cpu = (sum(process.cpu_times()[:2]) - cpu_before) / seconds * 100
        assert all(reply.count("word") == WORDS for reply in replies)
        mib = peak.stop()
        ideal = WORDS * PACE_SECONDS
        print(f"{count:>6} {mib:>9.0f} {seconds:>8.1f} {ideal:>6.1f} {cpu:>6.0f}", flush=True)
        if count == TARGET_COUNT:
            outcome = "met" if mib <= LIMIT_MIB else "missed"
            print(
                f"Target: {TARGET_COUNT} turns at once within {LIMIT_MIB} MiB: {outcome}",
                flush=True,
            )
        await ctx.writer.close()
        await ctx.engine.dispose()


async def _open(folder: Path) -> AppContext:
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        data_dir=folder,
        secret_key=SecretStr("b" * 40),
    )
    await migrate(settings.database)
    engine = open_engine(settings.database)
    return new_context(
        settings,
        engine,
        GroupWriter(settings.database),
        runtime=PacedRuntime(),
        memory=FakeMemory(),
        billing=FakeGateway(),
        identity=LocalIdentity(engine),
    )


async def _accounts(ctx: AppContext, count: int) -> list[Account]:
    accounts = [
        Account(email=f"{n}@example.com", auth_provider="embedded", auth_subject=str(n))
        for n in range(count)
    ]
    rows = [account.model_dump() for account in accounts]
    await ctx.writer.write(lambda connection: connection.execute(insert(Account), rows) and None)
    return accounts


async def _talk(ctx: AppContext, account: Account) -> str:
    turn_id = await control.start_turn(ctx, account, text="Tell me a story")
    events = [event async for event in control.follow(ctx, account.id, turn_id)]  # type: ignore[arg-type]
    return text_of(events)


class _PeakMemory:
    """Watches the process's resident memory from a thread."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._peak / 2**20

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self._peak = max(self._peak, self._process.memory_info().rss)


if __name__ == "__main__":
    main()
