"""How many tokens a request's prompt may have: text by length, images, audio and files by bounds.

Providers count an image by its dimensions, a recording by its length and a document by its pages,
which the size of their base64 data in the request does not tell.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import islice
from math import ceil
from typing import Any, NamedTuple

from chat_platform.proxy import problems
from chat_platform.proxy.image_size import Size, size_of

BYTES_PER_TOKEN = 4
"""The average bytes per token: for estimates, never for worst cases."""

MAX_IMAGE_TOKENS = 6_500
"""For an image with unreadable dimensions: more than any known provider counts."""

MAX_PARTS = 4_000
"""More than any provider accepts, and few enough to examine without delaying others."""

MAX_FILE_TOKENS = 300_000
"""For a file given only by reference: a hundred pages of 3,000 tokens, text and image together."""

_AUDIO_BYTES_PER_TOKEN = 16
"""32 tokens per second (Gemini; OpenAI counts 10) of speech at 4 kbit/s, the lowest bit rate."""
_USUAL_AUDIO_BYTES_PER_TOKEN = 250
_USUAL_FILE_BYTES_PER_TOKEN = 16

_HEAD_CHARACTERS = 256 * 1024
"""How much of an image is read: a camera's metadata before the dimensions can be long."""

_DATA_URL = re.compile(r"data:(image|audio|application|video)/[\w.+-]+;base64,", re.IGNORECASE)


class PromptSize(NamedTuple):
    most: int
    """A text never has more tokens than bytes."""
    usual: int


class _Part(NamedTuple):
    """The parts of a request that are not text."""

    characters: int
    """The bytes it takes up in the request."""
    most: int
    usual: int


def prompt_size(fields: dict[str, Any], body_bytes: int) -> PromptSize:
    """Return the upper bound and the estimate of the prompt's tokens. Raises Problem 400."""
    items = list(islice(_items(fields), MAX_PARTS + 1))
    if len(items) > MAX_PARTS:
        raise problems.malformed(
            f"The request has more than {MAX_PARTS} images, recordings and files."
        )
    if not items:
        return PromptSize(most=body_bytes, usual=-(-body_bytes // BYTES_PER_TOKEN))
    parts = [part for item in items if (part := _measured(item))]
    text = body_bytes - sum(part.characters for part in parts)
    return PromptSize(
        most=text + sum(part.most for part in parts),
        usual=ceil(text / BYTES_PER_TOKEN) + sum(part.usual for part in parts),
    )


def _items(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the parts of messages that are not text."""
    messages = fields.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            yield from (i for i in content if isinstance(i, dict) and i.get("type") != "text")


def _measured(item: dict[str, Any]) -> _Part | None:
    """Return what a part counts as, None if it is to be counted as text."""
    kind = item.get("type")
    value = item.get(kind) if isinstance(kind, str) else None
    match kind, value:
        case "image_url", {"url": str(url)} | str(url):
            return _of_url(url)
        case "input_audio", {"data": str(data)}:
            return _audio(len(data))
        case "file", {"file_data": str(data)}:
            return _of_url(data) if data.startswith("data:image") else _file(len(data))
        case "file", dict():
            return _Part(0, MAX_FILE_TOKENS, MAX_FILE_TOKENS)
        case _:
            return None


def _of_url(url: str) -> _Part:
    found = _DATA_URL.match(url)
    if not found:
        # The provider fetches it, so its size is unknown here. If it is not a URL either, it may be
        # read as text.
        return _Part(0, MAX_IMAGE_TOKENS, _usual_tokens((1024, 1024)))
    length = len(url) - found.end()
    match found[1].lower():
        case "image":
            return _image(url, found.end())
        case "audio":
            return _audio(length)
        case _:
            return _file(length)


def _image(url: str, start: int) -> _Part:
    size = size_of(_decoded(url[start : start + _HEAD_CHARACTERS]))
    most = _most_tokens(size) if size else MAX_IMAGE_TOKENS
    return _Part(len(url) - start, most, _usual_tokens(size or (1024, 1024)))


def _audio(characters: int) -> _Part:
    size = characters * 3 // 4
    most, usual = size // _AUDIO_BYTES_PER_TOKEN, size // _USUAL_AUDIO_BYTES_PER_TOKEN
    return _Part(characters, most + 1, usual + 1)


def _file(characters: int) -> _Part:
    # Documents compress text, by about as much as a token is long; page images come on top.
    size = characters * 3 // 4
    return _Part(characters, max(size, 3_000), max(size // _USUAL_FILE_BYTES_PER_TOKEN, 300))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _usual_tokens(size: Size) -> int:
    """Return OpenAI's count: 85, plus 170 for each tile of 512 pixels."""
    width, height = _within(size, longest=2048)
    shrink = min(1.0, 768 / min(width, height))
    return 85 + 170 * ceil(width * shrink / 512) * ceil(height * shrink / 512)


def _most_tokens(size: Size) -> int:
    """Return the highest count among the providers whose rules we know."""
    counts = (_usual_tokens(size), _openai_patches(size), _gemini(size), _anthropic(size))
    return min(MAX_IMAGE_TOKENS, max(counts))


def _openai_patches(size: Size) -> int:
    """1.72 tokens (o4-mini's factor, the highest) for each of up to 2,500 patches of 32 pixels."""
    return ceil(1.72 * min(2_500, ceil(size[0] / 32) * ceil(size[1] / 32)))


def _gemini(size: Size) -> int:
    """258 for each tile, whose side is two thirds of the shorter side: 256 to 768 pixels."""
    width, height = _within(size, longest=3072)
    tile = min(768.0, max(256.0, min(width, height) / 1.5))
    return 258 * ceil(width / tile) * ceil(height / tile)


def _anthropic(size: Size) -> int:
    return min(4_784, ceil(size[0] * size[1] / 750))


def _within(size: Size, *, longest: int) -> tuple[float, float]:
    shrink = min(1.0, longest / max(size))
    return max(1.0, size[0] * shrink), max(1.0, size[1] * shrink)
