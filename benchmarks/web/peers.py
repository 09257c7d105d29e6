"""Starts what is measured: our own server with fakes at its ports, and Chainlit beside it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext

from tests.pages.seed import seed_history
from tests.pages.server import PagesServer
from tests.pages.visitor import Visitor
from tests.web_server import PARAGRAPH

ROOT = Path(__file__).resolve().parents[2]
CHAINLIT = "chainlit==2.12.0"
CHAINLIT_HOME = ROOT / ".data" / "bench" / "chainlit"
PACE_SECONDS = 0.005
START_SECONDS = 90


@dataclass(frozen=True)
class Peer:
    """How to reach a chat, where to type, and what is shown while it answers."""

    name: str
    url: str
    pid: int
    prompt: str
    ready: str
    """What is shown as soon as a typed message can be sent."""
    busy: str
    message: str
    storage: dict[str, object] | None = None
    """The cookies of a signed-in person."""

    def open(self, browser: Browser) -> BrowserContext:
        """Return a browser profile that has never seen the page."""
        state = self.storage
        size = {"width": 1280, "height": 800}
        return browser.new_context(viewport=size, storage_state=state)  # pyright: ignore

    def memory_kb(self) -> float:
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 1000


@contextmanager
def our_server() -> Iterator[PagesServer]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-web-") as folder,
        PagesServer(Path(folder), pace_seconds=PACE_SECONDS) as server,
    ):
        yield server


def ours(server: PagesServer, browser: Browser, *, messages: int) -> Peer:
    """Sign somebody up who has a history of that many messages."""
    with browser.new_context() as context:
        visitor = Visitor(context.new_page(), server.url)
        visitor.sign_up()
        if messages:
            seed_history(server.folder, visitor.email, messages=messages)
        cookies = context.cookies()
    return Peer(
        name="ours",
        url=f"{server.url}/chat",
        pid=server.pid,
        prompt="#prompt",
        ready="#composer[data-account]:not([data-account='']) #prompt",
        busy=".composer .stop",
        message=".messages .message",
        storage={"cookies": cookies, "origins": []},
    )


@contextmanager
def chainlit(*, messages: int) -> Iterator[Peer]:
    _install_chainlit()
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-chainlit-") as home:
        process = subprocess.Popen(
            [
                *(str(CHAINLIT_HOME / "bin" / "chainlit"), "run"),
                *(str(ROOT / "benchmarks" / "web" / "chainlit_app.py"), "--headless"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            cwd=home,
            env=os.environ
            | {
                "CHAINLIT_APP_ROOT": home,
                "BENCH_MESSAGES": str(messages),
                "BENCH_PARAGRAPH": PARAGRAPH,
                "BENCH_PACE_SECONDS": str(PACE_SECONDS),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait_for(url)
            yield Peer(
                name="Chainlit 2.12",
                url=url,
                pid=process.pid,
                prompt="#chat-input",
                ready="#chat-input:not([disabled])",
                busy="#stop-button",
                message="[data-step-type]",
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _install_chainlit() -> None:
    """Install Chainlit into its own environment, once."""
    if (CHAINLIT_HOME / "bin" / "chainlit").exists():
        return
    print(f"installing {CHAINLIT}", file=sys.stderr)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, CHAINLIT_HOME], check=True)
    python = CHAINLIT_HOME / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "-q", "-p", python, CHAINLIT], check=True)


def _wait_for(url: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"nothing answers at {url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
