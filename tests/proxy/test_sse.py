from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.proxy.sse import MAX_EVENT_BYTES, MAX_OTHER_BYTES, StreamWatch
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
    for end in range(len(WHOLE) - len(b"\n\n")):
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


SECRET = b"sk-abcdef0123456789"


@pytest.mark.parametrize(
    "secret",
    [
        b'data: {"error": {"message": "sk-abcdef0123456789"}}\n\n',
        b"data: Error: key sk-abcdef0123456789 failed\n\n",
        b'event: error\ndata: {"detail": "sk-abcdef0123456789"}\n\n',
        b": sk-abcdef0123456789\n\n",
        b'{"error": "sk-abcdef0123456789"}\n\n',
        b'{"error": "sk-abcdef0123456789"}',
        b'data: {"choices": true, "detail": "sk-abcdef0123456789"}\n\n',
    ],
)
def test_no_key_passes_in_an_error_of_any_shape_however_often_and_wherever_it_is_cut(secret: bytes):
    errors = event({"error": "first"}) + secret + secret
    for cut in range(len(errors)):
        watch = StreamWatch(hides_usage=False, clean=lambda e: e.replace(SECRET, b"[key]"))

        relayed = watch.feed(errors[:cut]) + watch.feed(errors[cut:]) + watch.end()

        assert SECRET not in relayed
        assert relayed.count(b"[key]") == 2


def test_what_looks_like_a_key_in_an_answer_is_the_answer():
    watch = StreamWatch(hides_usage=False, clean=lambda e: e.replace(SECRET, b"[key]"))

    assert SECRET in watch.feed(chunk(SECRET.decode()))


LITELLMS_USAGE_CHUNK = event(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "cost": 5.48e-05},
    }
)


def test_litellms_usage_chunk_is_hidden_though_it_has_a_choice():
    pieces = [*TEXT, LITELLMS_USAGE_CHUNK, DONE]

    relayed, watch = _read(pieces, hides_usage=True)

    assert relayed == WITHOUT_USAGE
    assert watch.is_whole
    assert watch.usage == {"prompt_tokens": 12, "completion_tokens": 5, "cost": 5.48e-05}


@pytest.mark.parametrize(
    "odd", [True, 5, 1.5, "text", {"a": 1}], ids=["true", "number", "float", "text", "object"]
)
@pytest.mark.parametrize("field", ["choices", "usage", "delta", "tool_calls", "id", "error"])
def test_odd_types_are_read_without_an_exception(field: str, odd: object):
    choice: dict[str, object] = {"index": 0, "delta": {"content": "x"}}
    data: dict[str, object] = {"id": "1", "choices": [choice]}
    if field == "delta":
        choice[field] = odd
    elif field == "tool_calls":
        choice["delta"] = {field: odd}
    else:
        data[field] = odd

    relayed, watch = _read([event(data), chunk(finish="stop"), DONE])

    assert relayed == event(data) + chunk(finish="stop") + DONE
    assert watch.is_whole == (field not in ("choices", "error"))


@pytest.mark.parametrize("empty", [b"data:\n\n", b"data: \n\n"])
def test_an_event_without_data_is_no_fault(empty: bytes):
    _, watch = _read([chunk("Hi"), empty, chunk(finish="stop"), DONE])

    assert watch.is_whole


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_last_word_needs_no_blank_line(end: bytes):
    relayed, watch = _read([chunk("Hi"), chunk(finish="stop"), b"data: [DONE]" + end])

    assert watch.is_whole
    assert relayed.endswith(b"data: [DONE]" + end)


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


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [100, 5_000, 64_000, 10_000_000])
def test_an_event_as_long_as_an_answer_passes_in_pieces_of_any_size(size: int):
    long = chunk("x" * (MAX_EVENT_BYTES - 1_000))

    relayed, watch = _read([*_pieces(long + chunk(finish="stop") + DONE, size)])

    assert relayed == long + chunk(finish="stop") + DONE
    assert watch.is_whole
    assert watch.text_length == MAX_EVENT_BYTES - 1_000


@pytest.mark.parametrize("size", [5_000, 64_000, 10_000_000])
def test_an_event_longer_than_any_answer_is_not_read_on_and_counts_as_written(size: int):
    _, watch = _read([chunk("Hi"), *_pieces(chunk("x" * 2 * MAX_EVENT_BYTES), size)])

    assert watch.is_too_long
    assert not watch.is_whole
    assert MAX_EVENT_BYTES < watch.text_length < 2.1 * MAX_EVENT_BYTES


def test_an_endless_line_is_held_no_longer_than_an_event_may_be():
    watch = StreamWatch(hides_usage=False)

    pieces = 0
    while not watch.is_too_long:
        assert watch.feed(b"x" * 64_000) == b""
        pieces += 1

    assert pieces == MAX_EVENT_BYTES // 64_000 + 1
    assert watch.feed(b"\n\n" + chunk("more")) == b""
    assert watch.end() == b""


def _bytes_searched(pieces: int) -> int:
    """Count the bytes copied or searched while an event arrives in small pieces."""
    seen = 0

    class Counted(bytes):
        def __radd__(self, before: bytes) -> bytes:
            nonlocal seen
            seen += len(before) + len(self)
            return before + bytes(self)

    watch = StreamWatch(hides_usage=False)
    for _ in range(pieces):
        watch.feed(Counted(b"x" * 1_000))
    return seen


def test_the_work_of_an_event_in_small_pieces_grows_with_its_length_and_no_faster():
    assert _bytes_searched(800) < 5 * _bytes_searched(200)


@pytest.mark.parametrize(
    "senseless",
    [
        b"data: [" + b"[]," * 200_000 + b"[]]\n\n",
        b"data: {" + b'"":0,' * 180_000 + b'"":0}\n\n',
        b"data: 1\n" * 100_000 + b"\n",
        b": " + b"ping " * MAX_OTHER_BYTES + b"\n\n",
        b"data: [" + b"1," * 510_000 + b"1]\n\n",
    ],
    ids=["lists", "keys", "lines", "comment", "numbers"],
)
def test_what_takes_long_to_read_is_not_read(senseless: bytes):
    relayed, watch = _read([chunk("Hi"), senseless, chunk("there")])

    assert relayed == chunk("Hi")
    assert watch.is_too_long
