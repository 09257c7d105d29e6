"""Starts our own server with fakes at the ports, on a free port, its pages built."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.frontend import build
from tests.waiting import is_ok, wait_for

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
MAIL_SECONDS = 10
# Nothing listens there: the fakes answer, and whatever bypasses them fails.
NOWHERE = "http://127.0.0.1:9"


class PagesServer:
    """`with PagesServer(folder) as server: ... server.url`"""

    def __init__(
        self,
        folder: Path,
        *,
        pace_seconds: float = 0.01,
        app: str = "tests.web_server:app",
        root: Path = ROOT,
    ) -> None:
        self._root = root
        self.folder, self._pace_seconds, self._app = folder, pace_seconds, app
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def __enter__(self) -> "PagesServer":
        build(self._root)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # An orderly stop would wait for answers that nobody reads any more.
        self._kill()

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
                    *("--host", "127.0.0.1", "--port", str(self.port), "--ws", "--no-access-log"),
                    self._app,
                ],
                cwd=self._root,
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
            self._kill()

    def _kill(self) -> None:
        assert self._process
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def code_mailed_to(self, email: str) -> str:
        """Return the one-time code from the last mail; it is sent after the answer to the form."""
        mail = self.folder / "mail" / email

        def code() -> str:
            found = re.search(r"\b\w{4}-\w{4}-\w{4}\b", mail.read_text() if mail.exists() else "")
            return found[0] if found else ""

        return wait_for(
            code, seconds=MAIL_SECONDS, otherwise=lambda: f"no code was mailed to {email}"
        )

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PORT": str(self.port),
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
        wait_for(
            lambda: is_ok(f"{self.url}/login"),
            seconds=START_SECONDS,
            otherwise=lambda: (self.folder / "server.log").read_text()[-3000:],
        )
