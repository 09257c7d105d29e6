"""The whole platform, started once per run: for end-to-end tests, and its peers for contract tests.

Use the session fixtures `platform` and `embedded_peers` (Letta, LiteLLM, the demo model), and mark
the test `chain`. Starting takes most of a minute; environments are shared with the clone's own
.data. To keep peers between runs of contract tests, start them yourself and set their DATA_DIR:

    DEMO_FAULTS=1 DATA_DIR=/tmp/peers .venv/bin/chat-platform up --peers-only
    PEERS_DATA_DIR=/tmp/peers .venv/bin/pytest -m chain tests/contract

`--shape stack` takes two servers behind nginx instead, as `make stack` starts them. To keep those:

    DEMO_FAULTS=1 PLATFORM_BUDGET=1000 DATA_DIR=/tmp/stack .venv/bin/python -m tests.stack
    STACK_DATA_DIR=/tmp/stack .venv/bin/pytest -m chain --shape stack tests/e2e
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat_platform.billing.keys import derive_key, derive_subkey
from chat_platform.launcher.letta.peer import DATABASE
from chat_platform.launcher.places import Places
from chat_platform.launcher.postgres import ROLE
from chat_platform.values.ids import AccountId
from tests.e2e.platform import Platform
from tests.open_folder import new_open_folder
from tests.stack.platform import StackPlatform

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
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """`chat-platform up`, or with `--shape stack` two servers behind nginx."""
    is_stack = request.config.getoption("--shape") == "stack"
    if is_stack and (started := os.environ.get("STACK_DATA_DIR")):
        yield StackPlatform.attached(Path(started))
        return
    with new_open_folder() as folder:
        running = (StackPlatform if is_stack else Platform)(folder / "data")
        # A cap that is never reached: it makes every test count what all people spend together.
        running.start(PLATFORM_BUDGET="1000")
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def embedded_peers(request: pytest.FixtureRequest) -> Peers:
    running = os.environ.get("PEERS_DATA_DIR")
    return _read(Path(running) if running else request.getfixturevalue("platform").data_dir)


def shared_environments() -> Path:
    """Return the folder with the peers' Python environments."""
    return Path(os.environ.get("CHAT_PLATFORM_ENV_DIR", _ENVIRONMENTS))


def _status(folder: Path) -> dict:
    try:
        return json.loads((folder / "run" / "status.json").read_text())
    except FileNotFoundError:
        return {}


def places_of_peers(peers: Peers) -> Places:
    return Places(peers.data_dir, shared_environments())


def secrets_of(folder: Path) -> dict[str, str]:
    """Return every secret that the launcher generated, by its setting's name."""
    lines = (folder / "secrets.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _read(folder: Path) -> Peers:
    secrets = secrets_of(folder)
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
