"""LiteLLM without a database, from the requirements that the launcher pins."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import python_environment
from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running
from chat_platform.launcher.litellm.peer import ENVIRONMENT

_KEY = "sk-master-of-the-benchmark-01234"
_CONFIG = """
model_list:
  - model_name: demo-chat
    litellm_params:
      {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{upstream}/v1", api_key: unused}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: {key}}}
"""
_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "DISABLE_ADMIN_UI": "True",
}


@contextmanager
def litellm(model_port: int) -> Iterator[Peer]:
    pinned = str(ENVIRONMENT.requirements)
    installed = python_environment("litellm", "--require-hashes", "-r", pinned)
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "config.yaml"
        config.write_text(_CONFIG.format(upstream=model_port, key=_KEY))
        command = [str(installed / "bin" / "litellm"), "--config", str(config)]
        command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        with running(command, port, {**_SETTINGS, "HOME": home}) as process:
            headers = {"authorization": f"Bearer {_KEY}"}
            yield Peer("LiteLLM", (chat_url(port),), (process,), "nothing", headers)
