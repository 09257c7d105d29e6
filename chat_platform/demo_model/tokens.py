"""Counts tokens by a rule simple enough to check by hand.

A word costs one token per four letters (rounded up), any other visible character one, and each
message of a prompt three more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PIECE = re.compile(r"\w+|[^\w\s]")
_LETTERS_A_TOKEN = 4
_TOKENS_A_MESSAGE = 3


def count_tokens(text: str) -> int:
    return sum(-(-len(piece) // _LETTERS_A_TOKEN) for piece in _PIECE.findall(text))


def count_prompt(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any]) -> int:
    """Count all that a model reads: texts, earlier tool calls, and the tools on offer."""
    spoken = sum(_TOKENS_A_MESSAGE + count_tokens(_readable(message)) for message in messages)
    offered = count_tokens(json.dumps(list(tools), ensure_ascii=False)) if tools else 0
    return spoken + offered


def cut_to_tokens(text: str, limit: int) -> str:
    """Return as many whole words from the beginning as fit the limit."""
    end, used = 0, 0
    for piece in _PIECE.finditer(text):
        used += -(-len(piece[0]) // _LETTERS_A_TOKEN)
        if used > limit:
            return text[:end]
        end = piece.end()
    return text


def _readable(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    said = text_of(message)
    return f"{said} {json.dumps(calls, ensure_ascii=False)}" if calls else said


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's text, whether it came as a string or in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
