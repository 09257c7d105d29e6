"""Starts our own server with fakes at the ports, on a free port, its pages built."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from chat_platform.launcher.frontend import build
from chat_platform.launcher.ports import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
MAIL_SECONDS = 10
# Nobody listens there: the fakes answer, and whatever goes round them fails.
NOWHERE = "http://127.0.0.1:9"


class PagesServer:
    """`with PagesServer(folder) as server: ... server.url`"""

    def __init__(
        self, folder: Path, *, pace_seconds: float = 0.01, app: str = "tests.web_server:app"
    ) -> None:
        self.folder, self._pace_seconds, self._app = folder, pace_seconds, app
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def __enter__(self) -> "PagesServer":
        build(ROOT)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
                    *("--host", "127.0.0.1", "--port", str(self._port), "--ws", "--no-access-log"),
                    self._app,
                ],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        """Stop it; `start` brings it back with the same accounts."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def code_mailed_to(self, email: str) -> str:
        """Return the one-time code in the last mail; it is sent after the answer to the form."""
        mail, give_up_at = self.folder / "mail" / email, time.monotonic() + MAIL_SECONDS
        while time.monotonic() < give_up_at:
            text = mail.read_text() if mail.exists() else ""
            if found := re.search(r"\b\w{4}-\w{4}-\w{4}\b", text):
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no code was mailed to {email}")

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PORT": str(self._port),
            "DATA_DIR": str(self.folder),
            "LETTA_BASE_URL": NOWHERE,
            "LITELLM_BASE_URL": NOWHERE,
            "LITELLM_HAS_DATABASE": "false",
            "FAKE_PACE_SECONDS": str(self._pace_seconds),
            "REFLEX_ENV_MODE": "prod",
            "REFLEX_TELEMETRY_ENABLED": "false",
            "REFLEX_CHECK_LATEST_VERSION": "false",
        }

    def _wait(self) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            try:
                urllib.request.urlopen(f"{self.url}/login", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError((self.folder / "server.log").read_text()[-3000:])
