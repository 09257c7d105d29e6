"""Reads an image's dimensions from the first bytes of its file. Decodes no image."""

import struct

_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MAX_SEGMENTS = 500
"""A photo has a few dozen; a hostile file could have one per byte."""
_JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))

Size = tuple[int, int]


def size_of(head: bytes) -> Size | None:
    """Return the width and height of a PNG, JPEG, GIF or WebP, None if unknown."""
    try:
        size = _read(head)
    except (struct.error, IndexError):
        return None
    return size if size and min(size) > 0 else None


def _read(head: bytes) -> Size | None:
    if head.startswith(_PNG_START) and head[12:16] == b"IHDR":
        return struct.unpack(">II", head[16:24])
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return struct.unpack("<HH", head[6:10])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return _jpeg(head) if head.startswith(_JPEG_START) else None


def _webp(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = head[24:27], head[27:30]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> Size | None:
    """Walk from segment to segment, by their lengths, to the frame's header."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if head[at] != 0xFF:
            break
        marker = head[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            at += 2
        else:
            # A length includes itself: a shorter one is hostile, and would loop forever.
            at += 2 + max(2, struct.unpack(">H", head[at + 2 : at + 4])[0])
    return None
