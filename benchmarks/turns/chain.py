"""What the platform adds over calling the same Letta agent directly.

Both ways go through the same proxy, LiteLLM and demo model. They take turns, so that whatever
else the machine does meets both. Prints medians of the first token and of the whole answer.
"""

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import httpx
import psutil
from letta_client import Letta

from tests.e2e.platform import Person, Platform

PEOPLE = 3
ROUNDS = 12
WARM_UP = 3
TARGET_MS = 20
P = ParamSpec("P")
TEXT = "[[words 20]] [[pace 5]] please"


def main() -> None:
    # Whoever ends the benchmark early ends the platform with it.
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
    ours: list[tuple[float, float]] = []
    direct: list[tuple[float, float]] = []
    # Several people: nobody may send more than 60 messages a minute.
    for number in range(PEOPLE):
        person = platform.person(f"Bench{number}")
        person.say("Hello!")
        agent_id = person.agent_id()
        for turn in range(WARM_UP + ROUNDS):
            times = _timed(_by_platform, person), _timed(_by_letta, letta, agent_id)
            if turn >= WARM_UP:
                ours.append(times[0])
                direct.append(times[1])
    _report(ours, direct)


def _timed(talk: Callable[P, float], *args: P.args, **kwargs: P.kwargs) -> tuple[float, float]:
    """Return milliseconds to the first token and to the end."""
    began = time.perf_counter()
    first = talk(*args, **kwargs)
    return (first - began) * 1000, (time.perf_counter() - began) * 1000


def _by_platform(person: Person) -> float:
    first = 0.0
    headers = {"Accept": "text/event-stream"}
    body = {"content": TEXT}
    with person.http.stream("POST", "/chat/message", json=body, headers=headers) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if not first and line == "event: message.delta":
                first = time.perf_counter()
    return first


def _by_letta(letta: Letta, agent_id: str) -> float:
    first = 0.0
    stream = letta.agents.messages.create(
        agent_id,
        messages=[{"role": "user", "content": TEXT}],
        streaming=True,
        stream_tokens=True,
        include_pings=True,
    )
    for chunk in stream:
        if not first and chunk.message_type == "assistant_message":
            first = time.perf_counter()
    return first


def _letta(platform: Platform) -> Letta:
    environment = psutil.Process(platform.pid_of("server")).environ()
    return Letta(
        base_url=environment["LETTA_BASE_URL"],
        api_key=environment["LETTA_API_TOKEN"],
        max_retries=0,
        timeout=httpx.Timeout(60),
    )


def _report(ours: list[tuple[float, float]], direct: list[tuple[float, float]]) -> None:
    print(f"Medians of {len(ours)} answers each, in milliseconds")
    print(f"{'':>14} {'platform':>9} {'Letta':>9} {'added':>7}")
    for name, index in (("first token", 0), ("whole answer", 1)):
        a = statistics.median(times[index] for times in ours)
        b = statistics.median(times[index] for times in direct)
        print(f"{name:>14} {a:>9.1f} {b:>9.1f} {a - b:>7.1f}")
    print(f"Target: at most {TARGET_MS} ms added to the first token")


if __name__ == "__main__":
    main()
