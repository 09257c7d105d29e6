"""The production shape for a long time under a light load, with a fault every minute: `make soak`.

Environment: MINUTES (60). Writes benchmarks/results/soak.md; the exit code is 1 if anything was
lost, grew, or did not recover.
"""

import asyncio
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.people import NAME, all_at_once, email_of, sign_up
from benchmarks.soak import report
from benchmarks.soak.faults import STEADY, Fault, faults, is_whole
from benchmarks.soak.load import Load
from benchmarks.soak.samples import Sample, growth, sample
from benchmarks.stack_runs import publish, running_stack
from tests.e2e.platform import Person
from tests.stack.books import disagreements, unbooked, wait_until_at_rest
from tests.stack.platform import StackPlatform

PEOPLE = 6
MINUTE = 60.0
WARM_UP_SECONDS = 45.0
SAMPLE_SECONDS = 5.0
MOST_RECOVERY_SECONDS = 180.0
"""Letta and LiteLLM take a minute to start, more on a busy machine."""
SETTLE_SECONDS = 40.0
"""After the load: pools close what they do not need."""
_SETTINGS: dict[str, Any] = {
    "USER_DEFAULT_BUDGET": "1000",
    "PLATFORM_BUDGET": "100000",
    "JWT_EXPIRE_MINUTES": "1440",
}


@dataclass
class Soak:
    stack: StackPlatform
    load: Load
    recovered: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    samples: list[Sample] = field(default_factory=list[Sample])
    at_rest: list[list[Sample]] = field(default_factory=list[list[Sample]])
    """Before the load, and after it."""
    problems: list[str] = field(default_factory=list[str])

    async def run(self, minutes: int) -> None:
        people = await sign_up(self.stack.url, PEOPLE)
        await all_at_once(people, "Hello!")
        # What is loaded only once would look like growth.
        async with self.load.going_on(people):
            await asyncio.sleep(WARM_UP_SECONDS)
        self.at_rest.append(await self._rest())
        async with self.load.going_on(people):
            await self._go_wrong(minutes)
        await asyncio.gather(*(somebody.http.aclose() for somebody in people))
        self.at_rest.append(await self._rest())
        await asyncio.to_thread(self._judge)

    async def _go_wrong(self, minutes: int) -> None:
        sampling = asyncio.create_task(self._sample_for_ever())
        causes = faults()
        for number in range(1, minutes + 1):
            began = time.monotonic()
            await self._suffer(next(causes), number)
            await asyncio.sleep(max(0.0, MINUTE - (time.monotonic() - began)))
        sampling.cancel()

    async def _suffer(self, fault: Fault, number: int) -> None:
        began = time.monotonic()
        await asyncio.to_thread(fault.happen, self.stack)
        # Until the death is noticed, everything may still look whole.
        await asyncio.sleep(1)
        while not await asyncio.to_thread(is_whole, self.stack):
            if time.monotonic() - began > MOST_RECOVERY_SECONDS:
                self.problems.append(f"minute {number}: no recovery from: {fault.name}")
                break
            await asyncio.sleep(0.2)
        seconds = time.monotonic() - began
        self.recovered.append((fault.name, seconds))
        _say(f"minute {number}: {fault.name}, whole after {seconds:.0f} s")

    async def _sample_for_ever(self) -> None:
        while True:
            if found := await asyncio.to_thread(sample, self.stack, STEADY):
                self.samples.append(found)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _rest(self) -> list[Sample]:
        """Return samples of the steady server while nothing is asked of it."""
        await asyncio.to_thread(wait_until_at_rest, self.stack)
        await asyncio.sleep(SETTLE_SECONDS)
        found = [await asyncio.to_thread(sample, self.stack, STEADY) for _ in range(3)]
        return [each for each in found if each]

    def _judge(self) -> None:
        third = len(self.samples) // 3
        if third and len(self.at_rest) == 2 and all(self.at_rest):
            first, last = self.samples[:third], self.samples[-third:]
            self.problems += growth(f"{STEADY} under load", first, last)
            self.problems += growth(f"{STEADY} at rest", *self.at_rest)
        else:
            self.problems.append("too few samples to see any growth")
        if len({each.pid for each in (*self.at_rest[0], *self.samples, *self.at_rest[-1])}) > 1:
            self.problems.append(f"{STEADY} was restarted, though nothing killed it")
        failures = [name for name in self.load.outcomes if name.startswith("500")]
        self.problems += [f"{self.load.outcomes[name]} times {name}" for name in failures]
        self.problems += self._books()

    def _books(self) -> list[str]:
        people = [Person(self.stack.url, NAME, email_of(number)) for number in range(PEOPLE)]
        found = disagreements(self.stack, people)
        if self.stack.has_spend_logs:
            was_killed = any("LiteLLM" in name for name, _ in self.recovered)
            found += unbooked(self.stack, is_exact=not was_killed)
        return found

    def lines(self, minutes: int) -> list[str]:
        answered = sum(n for name, n in self.load.outcomes.items() if name.startswith("2"))
        return [
            f"{minutes} minutes, {PEOPLE} people, a fault a minute. {self.load.messages} messages,"
            f" {self.load.outcomes.total()} requests, {answered} of them answered;"
            f" {self.load.opened} pages opened.",
            "",
            *report.held(STEADY, self.samples, self.at_rest),
            "",
            *report.recoveries(self.recovered),
            "",
            *report.outcomes(self.load.outcomes),
            "",
            *(f"PROBLEM: {problem}" for problem in self.problems),
            *([] if self.problems else ["Nothing grew, nothing was lost, and the books agree."]),
        ]


def main() -> int:
    minutes = int(os.environ.get("MINUTES") or "60")
    with running_stack(**_SETTINGS) as stack:
        soak = Soak(stack, Load(stack.url))
        asyncio.run(soak.run(minutes))
    publish("soak", soak.lines(minutes))
    return 1 if soak.problems else 0


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
