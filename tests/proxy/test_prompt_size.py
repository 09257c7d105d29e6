"""How a picture, a recording or a document is counted: not by its bytes, and never too low."""

import base64
import io
import json
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chat_platform.proxy.call_request import read_request
from chat_platform.proxy.image_size import size_of
from chat_platform.proxy.problems import Problem
from chat_platform.proxy.prompt_size import (
    MAX_FILE_TOKENS,
    MAX_IMAGE_TOKENS,
    MAX_PARTS,
    PromptSize,
)

FORMATS = ("png", "jpeg", "gif", "webp")
MEGABYTE = 1_000_000


def _file(kind: str, width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, kind)
    return out.getvalue()


def _url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _image_part(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": _url(data)}}


def _counted(*parts: object) -> PromptSize:
    """Return what these parts add to a message."""
    return PromptSize(
        *(n - m for n, m in zip(_size(list(parts)), _size([""] * len(parts)), strict=True))
    )


def _size(content: list[Any]) -> PromptSize:
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    request = read_request("chat/completions", json.dumps(body).encode())
    return PromptSize(request.max_prompt_tokens, request.usual_prompt_tokens)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3000, 17), (1023, 2049)])
def test_dimensions_are_read_from_the_first_bytes(kind: str, size: tuple[int, int]):
    assert size_of(_file(kind, *size)[:1000]) == size


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif"}])
def test_every_kind_of_webp_is_read(options: dict[str, Any]):
    out = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(out, "webp", **options)

    assert size_of(out.getvalue()) == (300, 200)


def test_a_cameras_notes_may_stand_before_a_photos_dimensions():
    notes = b"\xff\xe1" + struct.pack(">H", 65_535) + bytes(65_533)
    photo = _file("jpeg", 4000, 3000)

    assert size_of(photo[:2] + 2 * notes + photo[2:]) == (4000, 3000)


@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.integers(0, 60))
def test_hostile_headers_break_nothing(noise: bytes, kind: str, cut: int):
    size = size_of(_file(kind, 30, 20)[:cut] + noise)

    assert size is None or min(size) > 0


@pytest.mark.parametrize("step", [b"\xff", b"\xff\xd0", b"\xff\xe0\0\0", b"\xff\xe0\0\2"])
def test_a_header_that_goes_nowhere_is_not_followed_to_its_end(step: bytes):
    frame = b"\xff\xc0\0\x0b\x08\0\x10\0\x10"

    assert size_of(b"\xff\xd8" + 3 * step + frame) == (16, 16) or step[-2:] == b"\0\0"
    assert size_of(b"\xff\xd8" + 1_000 * step + frame) is None


def test_more_pictures_than_anybody_takes_are_refused():
    body = {"model": "m", "messages": [{"content": [_image_part(b"")] * (MAX_PARTS + 1)}]}

    with pytest.raises(Problem, match="more than"):
        read_request("chat/completions", json.dumps(body).encode())


def test_a_megabyte_of_picture_counts_by_its_dimensions():
    noise = Image.frombytes("RGB", (768, 512), random.Random(1).randbytes(768 * 512 * 3))
    out = io.BytesIO()
    noise.save(out, "png")
    assert len(out.getvalue()) > MEGABYTE

    counted = _counted(_image_part(out.getvalue()))

    # OpenAI: 85 and 170 for each of two tiles. Gemini: six tiles of 341 pixels, 258 each.
    assert 425 <= counted.usual < 480
    assert 6 * 258 <= counted.most < 6 * 258 + 150


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (768, 768), (4000, 3000), (9000, 100)])
def test_the_bound_covers_what_each_provider_counts(size: tuple[int, int]):
    counted = _counted(_image_part(_file("png", *size)))

    gemini = 258 if max(size) <= 384 else 258 * (-(-size[0] // 768)) * (-(-size[1] // 768))
    anthropic = min(1600, size[0] * size[1] // 750)
    openai = 255
    assert counted.most >= max(min(gemini, 12 * 258), anthropic, openai)
    assert counted.most <= MAX_IMAGE_TOKENS + 150


def test_a_picture_that_nobody_can_read_counts_for_the_most():
    counted = _counted(_image_part(bytes(MEGABYTE)))

    assert MAX_IMAGE_TOKENS <= counted.most < MAX_IMAGE_TOKENS + 150


def test_a_picture_elsewhere_counts_for_the_most():
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    assert _counted(part).most >= MAX_IMAGE_TOKENS


def test_a_minute_of_speech_counts_by_its_length():
    minute = base64.b64encode(bytes(60 * 8_000)).decode()

    part = {"type": "input_audio", "input_audio": {"data": minute, "format": "mp3"}}

    counted = _counted(part)
    assert 60 * 32 <= counted.usual < 3_000
    assert counted.usual < counted.most < 60_000


def test_a_document_counts_for_its_packed_text_at_most():
    part = {"type": "file", "file": {"file_data": _url(bytes(MEGABYTE), "application/pdf")}}

    assert MEGABYTE <= _counted(part).most < MEGABYTE + 300


def test_a_document_elsewhere_counts_for_a_hundred_pages():
    assert _counted({"type": "file", "file": {"file_id": "f"}}).most >= MAX_FILE_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "x" * MEGABYTE},
        {"type": "text", "text": _url(bytes(MEGABYTE))},
        {"type": "image_url", "image_url": {"url": "data:text/plain;base64," + "x" * MEGABYTE}},
        {"type": "image_url", "image_url": {"url": "data:image/png," + "x" * MEGABYTE}},
        {"type": "image_url", "text": "x" * MEGABYTE},
        {"type": ["image_url"], "image_url": {"url": _url(bytes(MEGABYTE))}},
        {"type": "unheard_of", "unheard_of": {"data": "x" * MEGABYTE}},
        "x" * MEGABYTE,
        None,
        7,
    ],
    ids=lambda part: str(part)[:40],
)
def test_everything_else_counts_as_text(part: object):
    length = len(json.dumps(part))

    assert _counted(part).most >= length - 2
    assert _counted(part).usual >= (length - 2) // 4


@pytest.mark.parametrize("messages", [None, "x", 7, [None], ["x"], [{"content": {"a": 1}}], {}])
def test_odd_messages_count_as_text(messages: object):
    body = json.dumps({"model": "m", "messages": messages}).encode()

    assert read_request("chat/completions", body).max_prompt_tokens == len(body)
