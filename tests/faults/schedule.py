"""What a seed determines: who does what when, and which trouble occurs when."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.faults.scripts import RunScript, draw_run

PEOPLE = 2
PROCESSES = 3

Deed = Literal["send", "send_twice", "cancel", "read", "remember"]
Trouble = Literal[
    "cut",
    "lose_answer",
    "cut_answer",
    "database_away",
    "database_silent",
    "disk_full",
    "stop",
    "kill",
    "restart",
    "clock_jump",
    "clock_off",
    "agents_away",
    "gateway_away",
]
DEEDS: tuple[Deed, ...] = (
    "send",
    "send",
    "send",
    "send_twice",
    "cancel",
    "read",
    "read",
    "remember",
)
TROUBLES: tuple[Trouble, ...] = (
    "cut",
    "cut",
    "cut",
    "lose_answer",
    "cut_answer",
    "cut_answer",
    "database_away",
    "database_silent",
    "database_silent",
    "disk_full",
    "stop",
    "kill",
    "restart",
    "clock_jump",
    "clock_off",
    "clock_off",
    "agents_away",
    "gateway_away",
)


@dataclass(frozen=True)
class Action:
    """`amount`, from 0 to 1, is what the deed or trouble uses for a choice or an extent."""

    at_seconds: float
    what: Deed | Trouble
    person: int
    process: int
    amount: float
    text: str


@dataclass(frozen=True)
class Schedule:
    seed: int
    actions: tuple[Action, ...]
    scripts: dict[str, RunScript]
    loses_news: float
    """The share of notifications between processes that get lost."""
    has_logs: bool
    """Whether the gateway keeps spend logs."""
    keeps_runs: bool
    """Whether a run can be resumed by another process."""
    budget_usd: str

    @property
    def is_calm(self) -> bool:
        """Only processes' clocks go wrong in it: every turn that is not stopped must finish."""
        return self.seed % 5 == 0


def draw(seed: int) -> Schedule:
    random = Random(seed)
    is_calm = seed % 5 == 0
    trouble = 0.0 if is_calm else random.choice((0.0, 0.1, 0.3))
    length = random.choice((15.0, 40.0, 90.0))
    whats: list[Deed | Trouble] = ["send", *random.choices(DEEDS, k=random.randint(4, 12))]
    if not is_calm:
        whats += random.choices(TROUBLES, k=random.randint(1, 8))
    else:
        whats += random.choices(("clock_off",), k=random.randint(0, 2))
    times = sorted(random.uniform(0, length) for _ in whats)
    random.shuffle(whats)
    actions = tuple(
        _draw_action(random, at, what, f"m{number}")
        for number, (at, what) in enumerate(zip(times, whats, strict=True))
    )
    return Schedule(
        seed,
        actions,
        {a.text: draw_run(random, a.text, trouble=trouble) for a in actions},
        loses_news=random.choice((0.0, 0.0, 0.5, 1.0)),
        has_logs=random.random() < 0.5,
        keeps_runs=not is_calm and random.random() < 0.3,
        budget_usd="5" if is_calm else random.choice(("5", "5", "0.002")),
    )


def _draw_action(random: Random, at: float, what: Deed | Trouble, text: str) -> Action:
    return Action(
        at, what, random.randrange(PEOPLE), random.randrange(PROCESSES), random.random(), text
    )
