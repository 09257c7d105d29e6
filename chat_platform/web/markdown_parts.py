"""Splits Markdown after blank lines outside of code. Renders nothing."""

from collections.abc import Iterator

MAX_PART_CHARACTERS = 16_000
_FREEZE_FROM_CHARACTERS = 400
_FENCE = "```"
_LONGEST_OPENING = 100


def split_frozen(text: str) -> int:
    """Return where the finished part of an arriving text ends: a blank line outside a fence.

    0 while the text is short, so that pages get few, large blocks.
    """
    if len(text) < _FREEZE_FROM_CHARACTERS:
        return 0
    return _last_cut(text)


def parts_of(text: str) -> Iterator[str]:
    """Cut a long text at its blank lines into parts of about MAX_PART_CHARACTERS."""
    start = 0
    while len(text) - start > MAX_PART_CHARACTERS:
        cut = _last_cut(text, start, start + MAX_PART_CHARACTERS)
        cut = cut or _first_cut(text, start)
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


def cut_long(text: str) -> tuple[str, str] | None:
    """Cut a long arriving text that has no blank line outside of code; None for a short one.

    Within code both parts are code. The first has at least half of MAX_PART_CHARACTERS, so that
    the rest is shorter than the text even with its code opened again.
    """
    if len(text) <= MAX_PART_CHARACTERS:
        return None
    line_end = text.rfind("\n", MAX_PART_CHARACTERS // 2, MAX_PART_CHARACTERS)
    cut = line_end + 1 or MAX_PART_CHARACTERS
    block, rest = text[:cut], text[cut:]
    if block.count(_FENCE) % 2 == 0:
        return block, rest
    opening = block[block.rindex(_FENCE) :].split("\n", 1)[0]
    return block, f"{opening}\n{rest}" if len(opening) < _LONGEST_OPENING else rest


def _last_cut(text: str, start: int = 0, end: int | None = None) -> int:
    """Return the end of the last blank line outside a fence, 0 if there is none."""
    return max(_cuts(text, start, len(text) if end is None else end), default=0)


def _first_cut(text: str, start: int) -> int:
    return next(_cuts(text, start, len(text)), len(text))


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    fences, seen = 0, start
    while (at := text.find("\n\n", seen, end)) >= 0:
        fences += text.count(_FENCE, seen, at)
        seen = at + 2
        if fences % 2 == 0:
            yield seen
