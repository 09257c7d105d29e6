"""Portkey's gateway, in Node."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import npm_package
from benchmarks.proxy.peers.peer import BURST, PACED, PLAIN, Missing, Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running

_STREAMS = Path(__file__).with_name("portkey_streams.mjs")


@contextmanager
def portkey(model_port: int) -> Iterator[Peer]:
    """Portkey's gateway as published; for its streams see `portkey_streams`."""
    with _portkey(model_port, (PLAIN,)) as peer:
        yield peer


@contextmanager
def portkey_streams(model_port: int) -> Iterator[Peer]:
    """As published it answers streams with 500: the preloaded file says why, and fixes it."""
    with _portkey(model_port, (PACED, BURST), "--import", str(_STREAMS)) as peer:
        yield peer


@contextmanager
def _portkey(model_port: int, kinds: tuple[str, ...], *options: str) -> Iterator[Peer]:
    node = shutil.which("node")
    if node is None:
        raise Missing("Node is not installed")
    package = npm_package("portkey", "@portkey-ai/gateway", "1.15.2")
    port = free_port()
    start = package / "build" / "start-server.js"
    command = [node, *options, str(start), "--headless", f"--port={port}"]
    with running(command, port) as process:
        headers = {
            "authorization": "Bearer unused",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{model_port}/v1",
        }
        yield Peer("Portkey", (chat_url(port),), (process,), "nothing", headers, kinds=kinds)
