"""The changes between two texts, word by word, as safe HTML with <ins> and <del>.

Its time is bounded. With too many words it compares lines; with too many lines, everything between
the common beginning and the common end counts as rewritten.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import takewhile

from rapidfuzz.distance import Indel

MAX_COMPARISONS = 16_000_000
"""About five milliseconds and two megabytes."""

_WORDS = re.compile(r"\s+|[^\s]+")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")

_Piece = tuple[str, str, str]
"""Unchanged, removed, added."""


def diff_html(old: str, new: str) -> str:
    """Return the new text with additions and removals marked."""
    parts: list[str] = []
    for stayed, gone, come in _joined(_pieces(old, new)):
        parts += [escape(stayed)] if stayed else []
        parts += [f"<del>{escape(''.join(gone))}</del>"] if gone else []
        parts += [f"<ins>{escape(''.join(come))}</ins>"] if come else []
    return "".join(parts)


def _pieces(old: str, new: str) -> Iterator[_Piece]:
    words = _between(_WORDS.findall(old), _WORDS.findall(new))
    lines = _between(_LINES.findall(old), _LINES.findall(new))
    start, gone, come, end = words if _can_compare(words[1], words[2]) else lines
    yield "".join(start), "", ""
    yield from _compared(gone, come)
    yield "".join(end), "", ""


def _between(
    before: list[str], after: list[str]
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the common beginning, the differing middles, and the common end."""
    start = _count_alike(before, after)
    end = _count_alike(before[start:][::-1], after[start:][::-1])
    gone, come = before[start : len(before) - end], after[start : len(after) - end]
    return after[:start], gone, come, after[len(after) - end :]


def _count_alike(some: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(some, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _can_compare(gone: Sequence[str], come: Sequence[str]) -> bool:
    return len(gone) * len(come) <= MAX_COMPARISONS


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[_Piece]:
    if not _can_compare(before, after):
        yield "", "".join(before), "".join(after)
        return
    numbers: dict[str, int] = {}
    was, is_now = (
        [numbers.setdefault(w, len(numbers)) for w in words] for words in (before, after)
    )
    seen_before = seen_after = 0
    for part in Indel.opcodes(was, is_now):
        if part.tag == "equal":
            yield (
                "",
                "".join(before[seen_before : part.src_start]),
                "".join(after[seen_after : part.dest_start]),
            )
            yield "".join(after[part.dest_start : part.dest_end]), "", ""
            seen_before, seen_after = part.src_end, part.dest_end
    yield "", "".join(before[seen_before:]), "".join(after[seen_after:])


def _joined(pieces: Iterator[_Piece]) -> list[tuple[str, list[str], list[str]]]:
    """Join changes separated only by a space: phrases read better than words."""
    joined: list[tuple[str, list[str], list[str]]] = []
    for stayed, gone, come in pieces:
        if stayed:
            joined.append((stayed, [], []))
        elif (gone or come) and _ends_with_a_phrase(joined):
            blank, _, _ = joined.pop()
            joined[-1][1].extend((blank, gone))
            joined[-1][2].extend((blank, come))
        elif gone or come:
            joined.append(("", [gone] if gone else [], [come] if come else []))
    return joined


def _ends_with_a_phrase(joined: Sequence[tuple[str, list[str], list[str]]]) -> bool:
    """What was rewritten last is followed by blanks alone."""
    if len(joined) < 2 or not joined[-1][0] or joined[-1][0].strip(" "):
        return False
    _, gone, come = joined[-2]
    return bool(gone and come)
