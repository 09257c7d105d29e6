"""ferrogw, a gateway in Go, without a log and with its log of requests in SQLite."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import python_environment
from benchmarks.proxy.peers.peer import Durable, Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running

_KEY = "fgw_" + "a" * 32
_CONFIG = """
strategy: {mode: single}
targets: [{virtual_key: openai, models: [demo-chat]}]
"""
_LOG = """
  - name: request-logger
    type: logging
    stage: {stage}
    enabled: true
    config: {{level: error, persist: true, backend: sqlite, dsn: {file}}}
"""
_STAGES = ("before_request", "after_request", "on_error")


@contextmanager
def ferrogw(model_port: int) -> Iterator[Peer]:
    with _ferrogw("ferrogw", _CONFIG, model_port, "nothing", {}) as peer:
        yield peer


@contextmanager
def ferrogw_log(model_port: int) -> Iterator[Peer]:
    with tempfile.TemporaryDirectory() as home:
        file = f"{home}/requests.db"
        logs = "".join(_LOG.format(stage=stage, file=file) for stage in _STAGES)
        store = {"REQUEST_LOG_STORE_BACKEND": "sqlite", "REQUEST_LOG_STORE_DSN": file}
        name, config = "ferrogw with its log", f"{_CONFIG}plugins:{logs}"
        with _ferrogw(name, config, model_port, "fsynced", store) as peer:
            yield peer


@contextmanager
def _ferrogw(
    name: str, config: str, model_port: int, durable: Durable, more: dict[str, str]
) -> Iterator[Peer]:
    installed = python_environment("ferrogw", "ferrogw==1.5.10")
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "config.yaml"
        file.write_text(config)
        command = [str(installed / "bin" / "ferrogw"), "serve"]
        environment = _environment(home, file, port, model_port) | more
        with running(command, port, environment) as process:
            headers = {"authorization": f"Bearer {_KEY}"}
            yield Peer(name, (chat_url(port),), (process,), durable, headers)


def _environment(home: str, config: Path, port: int, model_port: int) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "unused",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}",
        "MASTER_KEY": _KEY,
        "GATEWAY_CONFIG": str(config),
        "PORT": str(port),
        "LOG_LEVEL": "error",
        "HOME": home,
        "RATE_LIMIT_RPS": "1000000",
        "RATE_LIMIT_BURST": "1000000",
        # A closed port: it would otherwise fetch its list of models from the internet.
        "FERRO_MODEL_CATALOG_URL": "http://127.0.0.1:9/models.json",
    }
