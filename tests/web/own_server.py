"""Our server on a real port, without any peer, started as the README says."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chat_platform.launcher.free_ports import free_port
from tests.environment import clean_environment
from tests.waiting import answer_at, wait_for

ROOT = Path(__file__).resolve().parents[2]
SERVERS = {
    "granian": ("granian", "--interface", "asgi", "--factory", "--ws"),
    "uvicorn": ("uvicorn", "--factory"),
}


@contextmanager
def own_server(folder: Path, server: str = "granian", **settings: str) -> Iterator[str]:
    """Yield the running server's address; its log is in `folder`."""
    port, log = free_port(), folder / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            [
                *(sys.executable, "-m", *SERVERS[server]),
                *("--port", str(port), "chat_platform.app:app"),
            ],
            cwd=ROOT,
            env=clean_environment(
                ENVIRONMENT="test",
                REGISTRATION="open",
                DATA_DIR=str(folder),
                REFLEX_ENV_MODE="prod",
                __REFLEX_SKIP_COMPILE="true",
                **settings,
            ),
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(
            lambda: answer_at(f"{url}/api/v1/health/live"),
            seconds=90,
            otherwise=lambda: f"the server did not start:\n{log.read_text()[-2000:]}",
            give_up=lambda: running.poll() is not None,
        )
        yield url
    finally:
        running.terminate()
        running.wait(60)
