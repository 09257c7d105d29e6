"""What clients request in their headers, as real clients write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from chat_platform.web.negotiation import (
    best_encoding,
    best_language,
    has_preference,
    has_version,
    header_value,
    prefers,
    versions,
)

STREAM, JSON = "text/event-stream", "application/json"


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("text/event-stream;q=0.9, application/json;q=0.5", True),
        ("application/json, text/event-stream", True),
        ("text/event-stream, */*;q=0.1", True),
        ("*/*, text/event-stream", True),
        ("text/*", True),
        ("application/json;q=0, */*", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0, */*", False),
        ("text/event-stream;Q=0.0", False),
        ("text/event-stream;q=0.5, application/json", False),
        ("text/event-stream;q=0.5, */*", False),
        ("text/event-streams", False),
        ('application/json;profile="text/event-stream"', False),
        ("text/event-stream;q=nonsense", False),
        (";;,,", False),
    ],
)
def test_a_stream_is_sent_to_who_would_rather_have_it(accept: str, is_stream: bool):
    assert prefers(accept, STREAM, to=JSON) is is_stream


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("ru", "ru"),
        ("ru-RU", "ru"),
        ("RU-ru, en;q=0.8", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("ru;q=0.5, en", "en"),
        ("en;q=0.4, ru;q=0.5", "ru"),
        ("fr, ru;q=0.5", "ru"),
        ("ru;q=0, *", "en"),
        ("en;q=0, *", "ru"),
        ("en-GB;q=0, en", "en"),
        ("*", "en"),
        ("fr", None),
        ("ru;q=0", None),
        ("", None),
        (";;;,", None),
    ],
)
def test_people_read_the_language_that_they_understand_best(
    accept_language: str, language: str | None
):
    assert best_language(accept_language, ("en", "ru")) == language


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("gzip;q=0, br;q=0", "identity"),
        ("gzip;q=0.2, identity;q=0.5", "identity"),
        ("brotli, zgzip", "identity"),
        ("*", "identity"),
        ("", "identity"),
    ],
)
def test_a_file_is_packed_as_the_client_can_unpack_it(accept_encoding: str, coding: str):
    assert best_encoding(accept_encoding, {"br": b"", "gzip": b""}) == coding


@pytest.mark.parametrize(
    ("if_none_match", "is_held"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x",W/"abc" , "y"', True),
        ("*", True),
        ('"x", "y"', False),
        ('"ABC"', False),
        ('"x,abc"', False),
        ("", False),
    ],
)
@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"'])
def test_a_version_that_the_client_holds_is_found_in_its_list(
    if_none_match: str, is_held: bool, etag: str
):
    assert has_version(if_none_match, etag) is is_held


@pytest.mark.parametrize(
    ("if_match", "found"),
    [
        ('"1"', {"1"}),
        ("1", {"1"}),
        ('W/"1"', {"1"}),
        ('"1", W/"2","3"', {"1", "2", "3"}),
        ("*", None),
        ("", set()),
    ],
)
def test_a_change_names_the_versions_that_it_is_for(if_match: str, found: set[str] | None):
    assert versions(if_match) == found


@pytest.mark.parametrize(
    ("prefer", "is_asked"),
    [
        ("respond-async", True),
        ("Respond-Async, wait=10", True),
        ("wait=10 , respond-async; foo", True),
        ("no-respond-async", False),
        ('handling="respond-async"', False),
        ("", False),
    ],
)
def test_a_preference_is_one_of_the_list(prefer: str, is_asked: bool):
    assert has_preference(prefer, "respond-async") is is_asked


def test_a_header_in_two_lines_is_one_list():
    headers = Headers(raw=[(b"accept", b"application/json;q=0.1"), (b"accept", STREAM.encode())])

    assert prefers(header_value(headers, "accept"), STREAM, to=JSON)


@given(st.text())
def test_nonsense_never_breaks_an_answer(text: str):
    prefers(text, STREAM, to=JSON)
    best_language(text, ("en", "ru"))
    best_encoding(text, {"gzip": b""})
    has_version(text, '"abc"')
    versions(text)
    has_preference(text, "respond-async")
