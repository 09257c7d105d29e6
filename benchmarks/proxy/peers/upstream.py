"""Starts the instant model behind all peers, and measures it without a peer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running


@contextmanager
def upstream() -> Iterator[int]:
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.proxy.upstream", str(port)], port):
        yield port


@contextmanager
def direct(model_port: int) -> Iterator[Peer]:
    yield Peer("direct", (chat_url(model_port),), (), durable="nothing")
