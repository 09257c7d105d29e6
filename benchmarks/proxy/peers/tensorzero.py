"""TensorZero's gateway in Rust, with its own storage switched off."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import python_environment
from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.processes import free_port, running

_GATEWAY = Path(__file__).with_name("tensorzero_gateway.py")
_CONFIG = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[models.demo-chat]
routing = ["model"]
[models.demo-chat.providers.model]
type = "openai"
api_base = "http://127.0.0.1:{upstream}/v1/"
model_name = "demo-chat"
api_key_location = "none"
"""


@contextmanager
def tensorzero(model_port: int) -> Iterator[Peer]:
    installed = python_environment("tensorzero", "tensorzero==2026.6.0", "openai==3.57.0")
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config, url = Path(home) / "tensorzero.toml", Path(home) / "url"
        config.write_text(_CONFIG.format(upstream=model_port))
        # -P: this file, beside that script, would otherwise be imported in place of TensorZero.
        command = [str(installed / "bin" / "python"), "-P", str(_GATEWAY), str(config)]
        with running([*command, str(url), str(port)], port, {"RUST_LOG": "error"}) as process:
            yield Peer(
                "TensorZero",
                (url.read_text().rstrip("/") + "/chat/completions",),
                (process,),
                durable="nothing",
                model="tensorzero::model_name::demo-chat",
            )
