from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.proxy.sse import StreamWatch
from tests.proxy.fake_upstream import DONE, USAGE_CHUNK, chunk, event

TEXT = [chunk("Hel"), b": ping\n\n", chunk("lo, wörld"), chunk(finish="stop")]
WHOLE = b"".join([*TEXT, USAGE_CHUNK, DONE])
WITHOUT_USAGE = b"".join([*TEXT, DONE])
USAGE_OF_CHUNK = orjson.loads(USAGE_CHUNK[6:])["usage"]


def _read(pieces: list[bytes], *, hides_usage: bool = False) -> tuple[bytes, StreamWatch]:
    watch = StreamWatch(hides_usage=hides_usage)
    relayed = b"".join([*(watch.feed(piece) for piece in pieces), watch.end()])
    return relayed, watch


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_split_at_any_byte_reads_and_relays_the_same(line_end: bytes):
    whole = WHOLE.replace(b"\n", line_end)
    for cut in range(len(whole) + 1):
        relayed, watch = _read([whole[:cut], whole[cut:]])
        hidden, quiet = _read([whole[:cut], whole[cut:]], hides_usage=True)

        assert relayed == whole
        assert hidden == WITHOUT_USAGE.replace(b"\n", line_end)
        assert watch.usage == quiet.usage == USAGE_OF_CHUNK
        assert watch.is_whole
        assert quiet.is_whole


@given(st.lists(st.integers(0, len(WHOLE)), max_size=40), st.booleans())
def test_pieces_of_any_size_read_and_relay_the_same(cuts: list[int], hides_usage: bool):
    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[a:b] for a, b in pairwise(edges)]

    relayed, watch = _read(pieces, hides_usage=hides_usage)

    assert relayed == (WITHOUT_USAGE if hides_usage else WHOLE)
    assert watch.is_whole
    assert watch.text_length == len("Hello, wörld")


def test_a_stream_that_ends_early_at_any_byte_is_no_success_and_keeps_its_bytes():
    for end in range(len(WHOLE) - 1):
        relayed, watch = _read([WHOLE[:end]])

        assert relayed == WHOLE[:end]
        assert not watch.is_whole


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_pass_unchanged(garbage: bytes, cut: int):
    relayed, _ = _read([garbage[:cut], garbage[cut:]])

    assert relayed == garbage


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk("Hi"), DONE],
        [chunk("Hi"), chunk(finish="stop")],
        [chunk("Hi"), b"data: {not json\n\n", chunk(finish="stop"), DONE],
        [chunk("Hi"), b"data: 7\n\n", chunk(finish="stop"), DONE],
        [chunk("Hi"), event({"error": {"message": "no"}}), chunk(finish="stop"), DONE],
        [event({"choices": ["?"]}), chunk(finish="stop"), DONE],
    ],
    ids=["no finish reason", "no [DONE]", "no json", "no object", "error event", "odd choice"],
)
def test_broken_streams_are_no_success(pieces: list[bytes]):
    relayed, watch = _read(pieces)

    assert not watch.is_whole
    assert relayed == b"".join(pieces)


def test_an_error_event_is_cleaned_wherever_it_is_cut():
    secret = event({"error": {"message": "key sk-secret"}})
    for cut in range(len(secret)):
        watch = StreamWatch(hides_usage=False, clean=lambda e: e.replace(b"sk-secret", b"[key]"))

        relayed = watch.feed(secret[:cut]) + watch.feed(secret[cut:]) + watch.end()

        assert b"sk-secret" not in relayed
        assert orjson.loads(relayed[6:]) == {"error": {"message": "key [key]"}}


def test_tool_calls_and_reasoning_count_as_written():
    call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    delta = {"reasoning_content": "hm", "tool_calls": [call]}

    _, watch = _read([event({"choices": [{"delta": delta}]})])

    assert watch.text_length == 2 + len(orjson.dumps(call["function"]))


def test_a_usage_chunk_that_carries_text_too_is_not_hidden():
    both = event({"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 1}})

    relayed, watch = _read([both], hides_usage=True)

    assert relayed == both
    assert watch.usage == {"prompt_tokens": 1}
