"""Turns text into vectors: texts that share words are close to each other, nothing more."""

import base64
import hashlib
import math
import re
import struct

DIMENSIONS = 1536

_WORD = re.compile(r"\w+")


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return the hashed bag of the text's words, of length one."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector[int.from_bytes(digest) % dimensions] += 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def to_base64(vector: list[float]) -> str:
    """Return the vector in the format OpenAI's clients request: little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
