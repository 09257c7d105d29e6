"""rolter, a gateway in Rust, with a key and a price; without its own databases."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import python_environment
from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running

_CONFIG = """
[server]
host = "127.0.0.1"
port = {port}
[[providers]]
name = "model"
kind = "openai_compatible"
api_base = "http://127.0.0.1:{upstream}"
[[routes]]
model = "demo-chat"
strategy = "round_robin"
[[routes.targets]]
provider = "model"
model = "demo-chat"
[[virtual_keys]]
key = "sk-rolter-of-the-benchmark"
name = "benchmark"
models = []
[[model_prices]]
model = "demo-chat"
input_per_mtok = 0.15
output_per_mtok = 0.6
"""
_ENVIRONMENT = {
    "ROLTER_UPDATE_CHECK": "false",
    "ROLTER_TELEMETRY_ENABLED": "false",
    "ROLTER_KEY_PEPPER": "p" * 40,
    "RUST_LOG": "error",
}


@contextmanager
def rolter(model_port: int) -> Iterator[Peer]:
    installed = python_environment("rolter", "rolter==0.1.0")
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "rolter.toml"
        config.write_text(_CONFIG.format(port=port, upstream=model_port))
        command = [str(installed / "bin" / "rolter"), "gateway", "-c", str(config)]
        with running(command, port, _ENVIRONMENT) as process:
            headers = {"authorization": "Bearer sk-rolter-of-the-benchmark"}
            yield Peer("rolter", (chat_url(port),), (process,), "memory queue", headers)
