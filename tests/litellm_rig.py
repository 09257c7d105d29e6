"""The real LiteLLM with its database, started once per run from the rig next to the project."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from chat_platform.launcher.free_ports import free_port
from chat_platform.settings import Settings

UP = Path(__file__).resolve().parents[2] / "shared" / "rigs" / "litellm" / "up.sh"
POSTGRES = Path(os.environ.get("PGBIN", "/usr/lib/postgresql/15/bin"))
MASTER_KEY = "sk-master-of-the-rig-0123456789"

# The models of the settings' defaults, at the test's own fake upstream.
CONFIG = """
model_list:
  - model_name: demo-chat
    litellm_params:
      {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{port}/v1", api_key: x,
        max_retries: 0, timeout: 2}}
  - model_name: demo-embedding
    litellm_params:
      {{model: openai/text-embedding-3-small, api_base: "http://127.0.0.1:{port}/v1", api_key: x,
        max_retries: 0, timeout: 2}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
litellm_settings: {{include_cost_in_streaming_usage: true, drop_params: true}}
general_settings:
  master_key: sk-master-1234
  database_url: os.environ/DATABASE_URL
  disable_prisma_schema_update: true
  disable_budget_reservation: true
"""


RIG_HOME = Path(tempfile.gettempdir()) / "chat-platform-rigs-of-tests"
"""One for all that need the rig, one after the other: installing it takes minutes."""


@dataclass(frozen=True)
class LiteLlmRig:
    url: str
    upstream_port: int
    """Where the models' fake upstream is expected to listen."""
    database_url: str

    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={
                "litellm_base_url": self.url,
                "litellm_master_key": SecretStr(MASTER_KEY),
                "litellm_has_database": True,
            }
        )


@pytest.fixture(scope="session")
def litellm_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLlmRig]:
    if reason := why_not():
        pytest.skip(reason)
    proxy, postgres, unused, upstream = (free_port() for _ in range(4))
    config = tmp_path_factory.mktemp("rig") / "config.yaml"
    config.write_text(CONFIG.format(port=upstream))
    rig = RigProgram(
        RIG_HOME,
        ports=(proxy, postgres, unused),
        environment={"CONFIG": str(config), "MASTER_KEY": MASTER_KEY},
    )
    with rig.alone():
        started = rig.up()
        try:
            if started.returncode:
                pytest.fail(f"the LiteLLM rig does not start: {started.stdout[-1500:]}")
            database = f"postgresql://litellm@127.0.0.1:{postgres}/litellm"
            yield LiteLlmRig(f"http://127.0.0.1:{proxy}", upstream, database)
        finally:
            rig.down()


def why_not() -> str:
    """Return why the rig cannot run on this machine, if so."""
    if not UP.exists():
        return f"the LiteLLM rig is not here: {UP}"
    if not shutil.which("node") or not POSTGRES.exists():
        return "the LiteLLM rig needs node and Debian's postgresql-15"
    return ""


@dataclass(frozen=True)
class RigProgram:
    """The rig's script, with one home: what it installs, and the database."""

    home: Path
    ports: tuple[int, int, int]
    """For LiteLLM, its Postgres and a model that we do not use."""
    environment: Mapping[str, str]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the home's lock: it can run once per machine. What a killed run left is stopped."""
        self._make_open()
        with (self.home / "lock").open("w") as lock:
            subprocess.run(["flock", str(lock.fileno())], pass_fds=[lock.fileno()], check=True)
            # It listens on other ports.
            self.down()
            yield

    def up(self) -> subprocess.CompletedProcess[str]:
        """Start whatever of it is not running."""
        return self._run(*map(str, self.ports))

    def down(self) -> None:
        self._run("down")

    def pid(self) -> int | None:
        """LiteLLM's own process, None while it does not run."""
        try:
            pid = int((self.home / "litellm" / "run" / "litellm.pid").read_text())
            is_over = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return None if is_over else pid

    def _make_open(self) -> None:
        """If we are root, let Postgres's user reach its data, whatever our umask is or was."""
        for folder in (self.home, self.home / "litellm"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The `node` of our own environment comes last: it is a wrapper, whose child would outlive
        # it.
        path = f"{os.environ['PATH']}:{Path(sys.executable).parent}"
        ours = {"RIG_HOME": str(self.home), "BATCH_WRITE_AT": "2", "PATH": path}
        return subprocess.run(
            [UP, *arguments],
            env={**os.environ, **ours, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
            umask=0o022,
        )
