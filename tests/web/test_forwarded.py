"""The `Forwarded` header of RFC 7239 is parsed as written, whatever its values contain."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_platform.web.forwarded import Hop, read_forwarded

TOKEN = st.text("abcXYZ019-._~!", min_size=1)
TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(st.tuples(TEXT, TOKEN), min_size=1), st.sampled_from([",", ", ", " ,\t"]))
def test_what_proxies_wrote_is_read_hop_by_hop(hops: list[tuple[str, str]], comma: str):
    written = comma.join(f"for={quoted(address)};proto={proto}" for address, proto in hops)

    assert read_forwarded(written) == [Hop(address, proto.lower()) for address, proto in hops]


@given(TEXT, TOKEN)
def test_what_a_client_wrote_never_changes_what_the_proxy_adds(claimed: str, address: str):
    hops = read_forwarded(f"{claimed}, for={address}")

    assert hops == [] or hops[-1].address == address


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        ("", []),
        ("for=a", [Hop("a")]),
        ("FOR=a; Proto=HTTPS ;by=b", [Hop("a", "https")]),
        ("for=a,,for=b;", [Hop("a"), Hop("b")]),
        ("host=x, for=b", [Hop(), Hop("b")]),
        ("for=a;for=b", [Hop("a")]),
        ("for = a", []),
        ('for="a', []),
        ('for="a"b', []),
        ("nonsense", []),
    ],
)
def test_odd_headers_are_read_or_left(value: str, hops: list[Hop]):
    assert read_forwarded(value) == hops


@pytest.mark.parametrize("piece", ['for="', "for=a,", ";", "a=\\", ' "', "\t"])
def test_a_long_header_takes_no_long_time(piece: str):
    # CPU time: the machine may be busy with others.
    began = time.thread_time()

    read_forwarded(piece * 20_000)

    assert time.thread_time() - began < 1
