"""The whole embedded platform as a test drives it: start, stop, kill a part, look at the ledger."""

import copy
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil

from chat_platform.launcher.free_ports import free_port
from tests.environment import clean_environment
from tests.waiting import is_ok, wait_for

ROOT = Path(__file__).resolve().parents[2]
API = "/api/v1"
COMMAND = str(Path(sys.executable).with_name("chat-platform"))
PASSWORD = "a-good-password-1"


class Person:
    """Somebody with an account, who uses the REST API."""

    def __init__(self, url: str, name: str, email: str) -> None:
        self.name = name
        self.email = email
        self.http = httpx.Client(base_url=url + API, timeout=120)
        body = {"email": email, "password": PASSWORD, "name": name}
        answer = self.http.post("/auth/register", json=body)
        if answer.status_code == 409:
            answer = self.http.post("/auth/login", json=body)
        answer.raise_for_status()
        self.id: str = answer.json()["user"]["id"]
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self.http.request(method, path, **kwargs)

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def say(self, text: str, **headers: str) -> dict[str, Any]:
        """Send a message and wait for the whole answer."""
        answer = self.http.post("/chat/message", json={"content": text}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def begin(self, text: str) -> str:
        """Send a message and return at once with its turn's id."""
        answer = self.http.post(
            "/chat/message", json={"content": text}, headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["turn_id"]

    def turn(self, turn_id: str) -> dict[str, Any]:
        return self.get(f"/chat/turns/{turn_id}")

    def wait_for_end(self, turn_id: str, *, seconds: float = 60) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            turn = self.turn(turn_id)
            return None if turn["status"] == "running" else turn

        return wait_for(
            ended, seconds=seconds, otherwise=lambda: f"turn {turn_id} did not end in {seconds} s"
        )

    def agent_id(self) -> str:
        return self.get("/agent/status")["agent_id"]

    def through(self, server: "SecondServer") -> "Person":
        """Return the same person talking to another server process."""
        return self.at(server.url)

    def at(self, url: str) -> "Person":
        """Return the same person talking to the server there."""
        twin = copy.copy(self)
        twin.http = httpx.Client(base_url=url + API, timeout=120, headers=self.http.headers)
        return twin


class Platform:
    """`chat-platform up` in a state folder of its own."""

    program: tuple[str, ...] = (COMMAND, "up")
    is_production = False

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._launcher: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}

    def start(self, *, seconds: float = 420, **environment: str) -> None:
        """Start everything; the first time this installs the peers' environments.

        Settings given once stay for every later start, as those in a `.env` do.
        """
        self._settings |= environment
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "up.log").open("ab") as log:
            self._launcher = subprocess.Popen(
                self.program,
                # Not the clone's folder: a .env there belongs to somebody.
                cwd=self.data_dir,
                env=self._environment(DEMO_FAULTS="1", **self._settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready(seconds)

    def wait_until_ready(self, seconds: float = 60) -> None:
        launcher = self._launcher
        wait_for(
            lambda: is_ok(f"{self.url}{API}/health/ready"),
            seconds=seconds,
            otherwise=lambda: f"the platform did not start:\n{self.log()}",
            give_up=lambda: launcher is not None and launcher.poll() is not None,
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Tell the launcher to stop, and wait; returns its exit code."""
        if not self._launcher:
            return 0
        self._launcher.send_signal(how)
        code = self._launcher.wait(60)
        self._launcher = None
        return code

    def run(self, *arguments: str) -> str:
        """Run one of the operator's commands on this platform; return what it prints."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.data_dir,
            env=self._environment(**self._of_commands()),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _of_commands(self) -> dict[str, str]:
        """What the operator's commands are told besides."""
        return {}

    def _environment(self, **variables: str) -> dict[str, str]:
        own = {
            "PORT": str(self.port),
            "DATA_DIR": str(self.data_dir),
            "CHAT_PLATFORM_ENV_DIR": str(ROOT / ".data" / "env"),
        }
        return clean_environment(**(variables | own))

    def kill_launcher(self) -> None:
        assert self._launcher
        self._launcher.kill()
        self._launcher.wait()
        self._launcher = None

    def kill(self, part: str) -> None:
        """`kill -9` one part: server, letta, litellm, demo-model, ..."""
        os.kill(self.pid_of(part), signal.SIGKILL)

    def wait_for_another(self, part: str, *, than: int, seconds: float = 60) -> None:
        """Wait until the launcher has started the part again, instead of this process."""

        def is_another() -> bool:
            try:
                return self.pid_of(part) != than
            except (OSError, ValueError):
                return False

        wait_for(is_another, seconds=seconds, otherwise=lambda: f"{part} was not started again")

    def address_of_proxy(self) -> str:
        """Where agents reach the proxy, as the server was told."""
        return psutil.Process(self.pid_of("server")).environ()["PROXY_PORT"]

    def pid_of(self, part: str) -> int:
        return json.loads((self.data_dir / "run" / "processes" / f"{part}.json").read_text())["pid"]

    def url_of(self, part: str) -> str:
        """Where a part listens; for granian that is its worker, not the parent."""
        parent = psutil.Process(self.pid_of(part))
        for process in (parent, *parent.children(recursive=True)):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    return f"http://127.0.0.1:{connection.laddr.port}"
        raise AssertionError(f"{part} does not listen")

    def calls_at_the_model(self, words: str) -> list[dict[str, Any]]:
        """The chat calls that the demo model got for a message, as it saw them."""
        calls = httpx.get(f"{self.url_of('demo-model')}/__calls").json()
        return [call for call in calls if words in call["last_words"]]

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started for this state folder."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if str(self.data_dir) in process.environ().get("CHAT_PLATFORM_STARTED_FOR", ""):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def log(self) -> str:
        return (self.data_dir / "up.log").read_text()[-4000:]

    def person(self, name: str) -> Person:
        return Person(self.url, name, f"{name.lower()}@example.com")

    def accounts_seen_by_litellm(self) -> set[str]:
        """The accounts whose keys LiteLLM accepted, from what its key check prints."""
        log = (self.data_dir / "logs" / "litellm.log").read_text()
        return set(re.findall(r"^call account=(\S+) key=", log, re.M))

    def ledger(self, account_id: str) -> list[dict[str, Any]]:
        """The account's ledger rows as they are stored."""
        return self.rows("select * from model_calls where account_id = ?", account_id)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        connection = sqlite3.connect(f"file:{self.data_dir / 'platform.db'}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def execute(self, statement: str, *values: Any) -> None:
        """Change the database behind the platform's back, as time or a disaster would."""
        file = self.data_dir / "platform.db"
        with closing(sqlite3.connect(file, timeout=15)) as connection, connection:
            connection.execute(statement, values)


class SecondServer:
    """Another server process of a running platform: same peers, database and Redis, own port.

    Agents go on calling the proxy of the first.
    """

    def __init__(self, platform: Platform) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        first = psutil.Process(platform.pid_of("server"))
        environment = first.environ()
        proxy_port = environment.pop("PROXY_PORT")
        environment |= {
            "PORT": str(self.port),
            "BACKEND_BASE_URL": f"http://127.0.0.1:{proxy_port}",
        }
        command = first.cmdline()
        command[command.index("--port") + 1] = str(self.port)
        with (platform.data_dir / "second.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )
        wait_for(lambda: is_ok(f"{self.url}{API}/health/ready"), seconds=60)

    def kill(self) -> None:
        """`kill -9` it, workers and all."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def terminate(self) -> None:
        """Tell it to exit, and wait until it has."""
        # The worker drains; the parent would only wait for it.
        for worker in psutil.Process(self._process.pid).children():
            worker.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def wait_until_it_talks(platform: Platform, words: str) -> None:
    """Wait until the model is in the middle of its answer to these words."""

    def talks() -> bool:
        calls = platform.calls_at_the_model(words)
        return bool(calls) and calls[-1]["pieces_sent"] > 20

    wait_for(talks, seconds=30, otherwise=lambda: "the model was not asked")
