"""The server without the launcher, as an operator starts it."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from chat_platform.launcher import frontend
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.frontend import ROOT
from tests.environment import clean_environment
from tests.waiting import answer_at, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    "command",
    [
        ("uvicorn", "--factory"),
        ("granian", "--interface", "asgi", "--factory", "--ws"),
    ],
    ids=["uvicorn", "granian"],
)
def test_it_serves_pages_and_api_with_configured_peers(command: tuple[str, ...], tmp_path: Path):
    frontend.build()
    port = free_port()
    environment = clean_environment(
        DATA_DIR=str(tmp_path),
        LETTA_BASE_URL="http://127.0.0.1:9",
        LITELLM_BASE_URL="http://127.0.0.1:9",
        LITELLM_MASTER_KEY="sk-master-of-the-tests",
    )
    argv = [sys.executable, "-m", *command, "--port", str(port), "chat_platform.app:app"]
    server = subprocess.Popen(argv, cwd=ROOT, env=environment)
    try:
        page = answer_of(f"http://127.0.0.1:{port}/login")
        live = answer_of(f"http://127.0.0.1:{port}/api/v1/health/live")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    assert page.status_code == 200
    assert 'name="password"' in page.text
    assert live.status_code == 200


def answer_of(url: str, *, seconds: float = 60) -> httpx.Response:
    """Retry until the server listens."""
    return wait_for(lambda: answer_at(url), seconds=seconds)
