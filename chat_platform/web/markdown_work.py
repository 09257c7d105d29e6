"""Limits the work of parsing the Markdown of one text.

Every attempt of a rule is a step. A text is allowed a few steps per character: an ordinary answer
takes a tenth of a step, a table of tiny cells one, and nothing but brackets would take a hundred.
Counted, not timed, so that the same text is shown the same way on a busy machine.
"""

import time
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

MAX_STEPS = 100_000
"""About a second for the longest texts."""
MAX_PAINT_SECONDS = 0.25
_SOME_STEPS = 2_000
_STEPS_A_CHARACTER = 3
MAX_DEPTH = 40
"""markdown-it would drop what is nested too deep."""
_TOKENS_A_STEP = 3


class TooComplex(Exception):
    """The text takes more work than its length allows."""


class Work:
    """The work caused by a text; stored in the parser's environment."""

    def __init__(self, characters: int) -> None:
        self.steps = 0
        self.most = min(_SOME_STEPS + _STEPS_A_CHARACTER * characters, MAX_STEPS)
        self.paint_seconds = 0.0
        self._tokens_seen = 0

    def spend(self, steps: int = 1) -> None:
        """Raises TooComplex."""
        self.steps += steps
        if self.steps > self.most:
            raise TooComplex

    def spend_on(self, tokens: Sequence[Token]) -> None:
        """Count a rule's output too: a table's empty cells are created without any attempt."""
        new = max(0, len(tokens) - self._tokens_seen)
        self._tokens_seen = len(tokens)
        self.spend(1 + new // _TOKENS_A_STEP)


class PaintTime:
    """Measures highlighting in this thread's CPU time, so that other threads do not count."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._most = time.thread_time() + MAX_PAINT_SECONDS - work.paint_seconds
        self._began_at = time.thread_time()

    @property
    def is_over(self) -> bool:
        now = time.thread_time()
        self._work.paint_seconds += now - self._began_at
        self._began_at = now
        return now > self._most


def work_in(env: EnvType) -> Work:
    work = env["work"]
    assert isinstance(work, Work)
    return work


def bound(markdown: MarkdownIt) -> None:
    """Make the parser count its steps; its environment must have `work`."""
    stops: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("table", "work", _count_block, stops)
    markdown.inline.ruler.before("text", "work", _count_inline)
    _count_skipping(markdown)


def _count_block(state: StateBlock, _start_line: int, _end_line: int, _silent: bool) -> bool:
    if state.level >= MAX_DEPTH - 2:
        raise TooComplex
    work_in(state.env).spend_on(state.tokens)
    return False


def _count_inline(state: StateInline, _silent: bool) -> bool:
    work_in(state.env).spend()
    return False


def _count_skipping(markdown: MarkdownIt) -> None:
    """Count the repeated searches of link labels, which happen outside of rules."""
    skip = markdown.inline.skipToken

    def skip_and_count(state: StateInline) -> None:
        work_in(state.env).spend()
        skip(state)

    markdown.inline.skipToken = skip_and_count
