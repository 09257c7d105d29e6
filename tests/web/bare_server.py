"""The real server without built pages and without any peer, for tests of its doors."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chat_platform.launcher.free_ports import free_port
from tests.environment import clean_environment
from tests.waiting import answer_at, wait_for

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90


@dataclass(frozen=True)
class BareServer:
    url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()


@contextmanager
def bare_server(folder: Path, **settings: str) -> Iterator[BareServer]:
    port = free_port()
    server = BareServer(f"http://127.0.0.1:{port}", folder / "log")
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--ws"]
    with server.log_file.open("w") as log:
        running = subprocess.Popen(
            [*command, "--port", str(port), "chat_platform.app:app"],
            cwd=ROOT,
            env=clean_environment(
                ENVIRONMENT="test",
                REGISTRATION="open",
                DATA_DIR=str(folder),
                REFLEX_ENV_MODE="prod",
                __REFLEX_SKIP_COMPILE="true",
                **settings,
            ),
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(
            lambda: answer_at(f"{server.url}/api/v1/health/live"),
            seconds=START_SECONDS,
            otherwise=lambda: f"the server did not start:\n{server.log[-2000:]}",
            give_up=lambda: running.poll() is not None,
        )
        yield server
    finally:
        running.terminate()
        running.wait(60)
