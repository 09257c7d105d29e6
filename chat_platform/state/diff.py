"""What changed between two texts, word by word, as safe HTML with <ins> and <del>."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from html import escape

_WORDS = re.compile(r"\s+|[^\s]+")

_Piece = tuple[str, str, str]
"""What stayed, what went, what came."""


def diff_html(old: str, new: str) -> str:
    """Return the new text with what came and what went marked."""
    parts: list[str] = []
    for stayed, gone, come in _joined(_pieces(old, new)):
        parts += [escape(stayed)] if stayed else []
        parts += [f"<del>{escape(gone)}</del>"] if gone else []
        parts += [f"<ins>{escape(come)}</ins>"] if come else []
    return "".join(parts)


def _pieces(old: str, new: str) -> Iterator[_Piece]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        yield (come, "", "") if kind == "equal" else ("", gone, come)


def _joined(pieces: Iterator[_Piece]) -> list[_Piece]:
    """Join neighbours that only a blank keeps apart: phrases read better than words."""
    joined: list[_Piece] = []
    for stayed, gone, come in pieces:
        is_apart = len(joined) < 2 or joined[-1][0].strip(" ") or not joined[-1][0]
        if stayed or is_apart or not (gone and come and joined[-2][1] and joined[-2][2]):
            joined.append((stayed, gone, come))
            continue
        blank, _, _ = joined.pop()
        _, gone_before, come_before = joined.pop()
        joined.append(("", gone_before + blank + gone, come_before + blank + come))
    return joined
