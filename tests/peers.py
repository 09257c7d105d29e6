"""Real peers for contract tests: Letta, LiteLLM and the demo model, started once a run.

Ask for the session fixture `embedded_peers` and mark the test `chain`. Starting takes about half a
minute; environments are shared with the clone's own .data. To keep peers between runs, start them
yourself and name their DATA_DIR:

    DEMO_FAULTS=1 DATA_DIR=/tmp/peers .venv/bin/chat-platform up --peers-only
    PEERS_DATA_DIR=/tmp/peers .venv/bin/pytest -m chain tests/contract
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat_platform.billing_keys import derive_key, derive_subkey
from chat_platform.ids import AccountId
from chat_platform.launcher.letta.peer import DATABASE
from chat_platform.launcher.postgres import ROLE
from tests.environment import clean_environment

_START_SECONDS = 280
_ENVIRONMENTS = Path(__file__).parent.parent / ".data" / "env"


@dataclass(frozen=True)
class Peers:
    """Addresses and secrets of running peers. The demo model obeys its faults."""

    letta_url: str
    letta_token: str
    letta_database_url: str
    letta_global_key: str
    """What Letta sends to the agents' endpoints."""
    litellm_url: str
    litellm_master_key: str
    demo_url: str
    secret_key: str
    data_dir: Path

    def billing_key(self, account_id: str, version: int = 1) -> str:
        return derive_key(derive_subkey(self.secret_key), AccountId(account_id), version)


@pytest.fixture(scope="session")
def embedded_peers() -> Iterator[Peers]:
    running = os.environ.get("PEERS_DATA_DIR")
    if running:
        yield _read(Path(running))
        return
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-peers-"))
    folder.chmod(0o711)
    with _started(folder):
        yield _read(folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(folder: Path) -> Iterator[None]:
    shared = os.environ.get("CHAT_PLATFORM_ENV_DIR", str(_ENVIRONMENTS))
    log = folder / "launcher.log"
    with log.open("w") as out:
        launcher = subprocess.Popen(
            [str(Path(sys.executable).parent / "chat-platform"), "up", "--peers-only"],
            # Not the clone's folder: a .env there is somebody's own.
            cwd=folder,
            env=clean_environment(
                DATA_DIR=str(folder), CHAT_PLATFORM_ENV_DIR=shared, DEMO_FAULTS="1"
            ),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(folder, launcher, log)
        yield
    finally:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)


def _wait_until_ready(folder: Path, launcher: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _status(folder).get("state") != "ready":
        if launcher.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the peers did not start:\n{log.read_text()}")
        time.sleep(0.2)


def _status(folder: Path) -> dict:
    try:
        return json.loads((folder / "run" / "status.json").read_text())
    except FileNotFoundError:
        return {}


def _read(folder: Path) -> Peers:
    lines = (folder / "secrets.env").read_text().splitlines()
    secrets = dict(line.split("=", 1) for line in lines)
    peers = _status(folder)["peers"]
    return Peers(
        letta_url=peers["letta"]["url"],
        letta_token=secrets["LETTA_API_TOKEN"],
        letta_database_url=(
            f"postgresql://{ROLE}:{secrets['LETTA_DATABASE_PASSWORD']}"
            f"@{peers['postgres']['url']}/{DATABASE}"
        ),
        letta_global_key=secrets["LETTA_GLOBAL_API_KEY"],
        litellm_url=peers["litellm"]["url"],
        litellm_master_key=secrets["LITELLM_MASTER_KEY"],
        demo_url=peers["demo-model"]["url"],
        secret_key=secrets["SECRET_KEY"],
        data_dir=folder,
    )
