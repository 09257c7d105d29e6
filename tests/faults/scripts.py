"""What a run's agents and models will do: plain data, drawn from the seed in advance."""

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

AnswerKind = Literal[
    "stream",
    "plain",
    "no_usage",
    "absurd_usage",
    "absurd_cost",
    "late_usage",
    "odd_events",
    "error_event",
    "error_500",
    "error_429",
    "html",
    "continue_100",
    "switching_101",
    "early_hints_103",
    "no_content_204",
    "partial_206",
    "redirect_302",
    "not_modified_304",
    "redirect_307",
    "cut",
    "dropped",
    "stray",
    "stray_while_idle",
    "data_while_idle",
    "silent",
]
GOOD: tuple[AnswerKind, ...] = ("stream", "plain")
HONEST: tuple[AnswerKind, ...] = (
    *GOOD,
    "late_usage",
    "odd_events",
    "continue_100",
    "early_hints_103",
    "stray",
    "stray_while_idle",
    "data_while_idle",
)
"""Some are odd, but all are complete and true: the platform must accept them as they are."""
UNANSWERED: tuple[AnswerKind, ...] = (
    "error_500",
    "error_429",
    "html",
    "redirect_302",
    "not_modified_304",
    "redirect_307",
)
"""Answers without any model behind them."""
TRIES = 3
"""How often an OpenAI client makes a request."""
LIES: tuple[AnswerKind, ...] = tuple(k for k in get_args(AnswerKind) if k not in GOOD)

Ending = Literal["whole", "fails", "connection_lost", "hangs", "says_nothing", "late"]
BAD_ENDINGS: tuple[Ending, ...] = ("fails", "connection_lost", "hangs", "says_nothing", "late")


@dataclass(frozen=True)
class ModelAnswer:
    """How the gateway answers one request. `cut_at` is the share of its bytes that arrives."""

    kind: AnswerKind
    text: str
    cut_at: float = 1.0
    seconds: float = 0.0


@dataclass(frozen=True)
class RunScript:
    """What an agent does with one message: this many model calls, then the ending.

    `answers` has the answers to each step's request and to its retries.
    """

    calls: int
    answers: tuple[tuple[ModelAnswer, ...], ...]
    ending: Ending = "whole"
    background_calls: int = 0
    patience_seconds: float = 60.0
    """How long its client waits for an answer before it gives up and retries."""

    def answer_to(self, step: int, try_: int) -> ModelAnswer:
        """Return the answer to the `try_`-th attempt of the step's request."""
        if step < len(self.answers) and try_ < len(self.answers[step]):
            return self.answers[step][try_]
        return ModelAnswer("stream", f"[{step}.{try_}] ")


def draw_run(random: Random, text: str, *, trouble: float) -> RunScript:
    """Return a run in which each part has trouble with this probability."""
    calls = random.choice((1, 1, 2, 3))
    answers = tuple(
        tuple(_draw_answer(random, f"{text}.{step}.{try_}", trouble) for try_ in range(TRIES))
        for step in range(calls)
    )
    ending = random.choice(BAD_ENDINGS) if random.random() < trouble / 2 else "whole"
    patience = 1.5 if random.random() < trouble / 2 else 60.0
    background_calls = int(random.random() < 0.2)
    return RunScript(calls, answers, ending, background_calls, patience)


def _draw_answer(random: Random, name: str, trouble: float) -> ModelAnswer:
    kind = random.choice(LIES if random.random() < trouble else GOOD)
    words = f"[{name}] " + "word " * random.randint(1, 40)
    return ModelAnswer(kind, words, cut_at=random.random(), seconds=random.choice((0, 0.3, 3)))
