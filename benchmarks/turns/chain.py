"""What the platform adds over calling the same Letta agent directly.

Both ways go through the same proxy, LiteLLM and demo model. They take turns, so that the machine's
other load affects both. Prints medians for the first token and for the whole answer.
"""

import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
from letta_client import APITimeoutError, Letta, LettaError

from tests.e2e.platform import Person, Platform

PEOPLE = 3
ROUNDS = 20
WARM_UP = 3
TARGET_MS = 20
STALL_SECONDS = 20.0
MAX_STALLS = 3
TEXT = "[[words 20]] [[pace 5]] please"

Times = tuple[float, float]
"""Milliseconds to the first token, and to the end."""


class Stalled(Exception):
    """An answer did not end in time."""


def main() -> None:
    # Ending the benchmark early ends the platform too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="bench-turns-") as folder:
        platform = Platform(Path(folder) / "data")
        platform.start()
        try:
            compare(platform)
        finally:
            platform.stop()


def compare(platform: Platform) -> None:
    letta = _letta(platform)
    pairs: list[tuple[Times, Times]] = []
    stalls: list[str] = []
    # Several people: nobody may send more than 60 messages a minute.
    for number in range(PEOPLE):
        person = platform.person(f"Bench{number}")
        person.say("Hello!")
        agent_id = person.agent_id()
        for turn in range(WARM_UP + ROUNDS):
            try:
                pair = _pair(person, letta, agent_id, is_ours_first=bool(turn % 2))
            except Stalled as stalled:
                stalls.append(str(stalled))
                print(f"Stalled: {stalled}", flush=True)
                if len(stalls) > MAX_STALLS:
                    sys.exit("Too many answers stalled.")
                with suppress(LettaError):
                    letta.agents.messages.cancel(agent_id)
                continue
            if turn >= WARM_UP:
                pairs.append(pair)
    _report(pairs, stalls)


def _pair(
    person: Person, letta: Letta, agent_id: str, *, is_ours_first: bool
) -> tuple[Times, Times]:
    """Time one answer each way; the second is affected by what the first has left to do."""
    if is_ours_first:
        return _by_platform(person), _by_letta(letta, agent_id)
    direct = _by_letta(letta, agent_id)
    return _by_platform(person), direct


def _by_platform(person: Person) -> Times:
    headers = {"Accept": "text/event-stream"}
    body = {"content": TEXT}
    watch = _Watch("through the platform")
    with watch, person.http.stream("POST", "/chat/message", json=body, headers=headers) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            watch.saw(is_text=line == "event: message.delta")
    return watch.times


def _by_letta(letta: Letta, agent_id: str) -> Times:
    watch = _Watch("of Letta itself")
    with watch:
        stream = letta.agents.messages.create(
            agent_id,
            messages=[{"role": "user", "content": TEXT}],
            streaming=True,
            stream_tokens=True,
            include_pings=True,
        )
        for chunk in stream:
            watch.saw(is_text=chunk.message_type == "assistant_message")
    return watch.times


class _Watch:
    """Times one answer, and gives up if it stalls.

    Both ways send pings while nothing happens, so checking at each line is enough.
    """

    def __init__(self, way: str) -> None:
        self._way = way
        self._began = time.perf_counter()
        self._first = 0.0
        self.times: Times = (0.0, 0.0)

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        # 409: the previous turn stalled, and is still running.
        if isinstance(error, httpx.TimeoutException | httpx.HTTPStatusError | APITimeoutError):
            raise self._stalled() from error
        self.times = self._first * 1000, self._passed() * 1000

    def saw(self, *, is_text: bool) -> None:
        if is_text and not self._first:
            self._first = self._passed()
        if self._passed() > STALL_SECONDS:
            raise self._stalled()

    def _passed(self) -> float:
        return time.perf_counter() - self._began

    def _stalled(self) -> Stalled:
        what = "without its end" if self._first else "without a word"
        return Stalled(f"an answer {self._way} was {self._passed():.0f} s {what}")


def _letta(platform: Platform) -> Letta:
    environment = psutil.Process(platform.pid_of("server")).environ()
    return Letta(
        base_url=environment["LETTA_BASE_URL"],
        api_key=environment["LETTA_API_TOKEN"],
        max_retries=0,
        timeout=httpx.Timeout(STALL_SECONDS + 10),
    )


def _report(pairs: list[tuple[Times, Times]], stalls: list[str]) -> None:
    print(f"Medians of {len(pairs)} answers each, in milliseconds")
    print(f"{'':>14} {'platform':>9} {'Letta':>9} {'added':>7}")
    added: list[float] = []
    for index, name in enumerate(("first token", "whole answer")):
        ours, direct = (statistics.median(pair[way][index] for pair in pairs) for way in (0, 1))
        added.append(ours - direct)
        print(f"{name:>14} {ours:>9.1f} {direct:>9.1f} {added[-1]:>7.1f}")
    outcome = "met" if added[0] <= TARGET_MS else "missed"
    print(f"Target: at most {TARGET_MS} ms added to the first token at the median: {outcome}")
    print(f"Answers that stalled: {len(stalls)}")


if __name__ == "__main__":
    main()
