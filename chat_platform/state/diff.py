"""What changed between two texts, word by word, as safe HTML with <ins> and <del>."""

import re
from difflib import SequenceMatcher
from html import escape

_WORDS = re.compile(r"\s+|[^\s]+")


def diff_html(old: str, new: str) -> str:
    """Return the new text with what came and what went marked."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    parts: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        if kind == "equal":
            parts.append(escape(come))
            continue
        parts += [f"<del>{escape(gone)}</del>"] if gone else []
        parts += [f"<ins>{escape(come)}</ins>"] if come else []
    return "".join(parts)
