"""The running peers from outside: their user, their secrets, and who can reach them."""

import os
import subprocess
from collections.abc import Iterator

import httpx
import psutil
import psycopg
import pytest

from chat_platform.launcher.status import read_status
from tests.peers import Peers, places_of_peers, secrets_of

pytestmark = [
    pytest.mark.chain,
    pytest.mark.embedded("it looks at the peers as `make run` starts them"),
]

NEEDED = {
    "letta": {
        *("LETTA_API_TOKEN", "LETTA_ENCRYPTION_KEY"),
        *("LETTA_GLOBAL_API_KEY", "LETTA_DATABASE_PASSWORD"),
    },
    "litellm": {"LITELLM_MASTER_KEY"},
}
"""The secrets that a peer needs; no other peer gets them."""
OUR_OWN = "server"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")


def _families(peers: Peers) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Yield each peer's processes: the started one and all its descendants."""
    started = read_status(places_of_peers(peers))["peers"]
    for name, state in started.items():
        if name == OUR_OWN:
            continue
        leader = psutil.Process(state["pid"])
        yield name, [leader, *leader.children(recursive=True)]


def test_no_peer_is_told_a_secret_that_it_can_do_without(embedded_peers: Peers):
    secrets = secrets_of(embedded_peers.data_dir)
    known = {
        name: {
            secret
            for process in family
            for told in process.environ().values()
            for secret, value in secrets.items()
            if value in told
        }
        for name, family in _families(embedded_peers)
    }

    assert set(known) == {"postgres", "letta", "litellm", "demo-model"}
    assert known == {name: NEEDED.get(name, set()) for name in known}


def test_no_log_holds_a_secret(embedded_peers: Peers):
    secrets = secrets_of(embedded_peers.data_dir)
    logs = list(places_of_peers(embedded_peers).logs.iterdir())

    assert {log.name for log in logs} >= {"letta.log", "litellm.log", "postgres.log"}
    for log in logs:
        text = log.read_text(errors="replace")
        assert not [name for name, value in secrets.items() if value in text], log.name


def test_logs_and_secrets_are_nobody_elses_business(embedded_peers: Peers):
    places = places_of_peers(embedded_peers)

    for file in (*places.logs.iterdir(), places.data_dir / "secrets.env"):
        assert file.stat().st_mode & 0o077 == 0, file


@as_root
def test_no_peer_runs_as_root(embedded_peers: Peers):
    owners = {
        (name, process.uids()) for name, family in _families(embedded_peers) for process in family
    }

    assert not [name for name, uids in owners if 0 in uids]


@as_root
@pytest.mark.parametrize("name", ["letta", "litellm"])
def test_a_program_of_the_same_user_cannot_read_a_peers_secrets(embedded_peers: Peers, name: str):
    leader = dict(_families(embedded_peers))[name][0]

    read = _as_user(leader.uids().real, "cat", f"/proc/{leader.pid}/environ")

    assert read.returncode != 0
    assert not read.stdout


@as_root
def test_a_peer_can_change_nothing_of_ours_and_read_no_secret(embedded_peers: Peers):
    for _name, family in _families(embedded_peers):
        user = family[0].uids().real
        program = family[0].cmdline()[0]
        reads = _as_user(user, "cat", str(embedded_peers.data_dir / "secrets.env"))

        assert _as_user(user, "test", "-w", program).returncode != 0
        assert _as_user(user, "test", "-w", str(embedded_peers.data_dir)).returncode != 0
        assert reads.returncode != 0


def test_peers_listen_on_this_machine_only_and_on_no_port_that_we_do_not_know(
    embedded_peers: Peers,
):
    listening = {
        connection.laddr
        for _name, family in _families(embedded_peers)
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    }
    states = read_status(places_of_peers(embedded_peers))["peers"]

    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {
        int(state["url"].rpartition(":")[2]) for name, state in states.items() if name != OUR_OWN
    }


def test_postgres_asks_for_its_password(embedded_peers: Peers):
    address = read_status(places_of_peers(embedded_peers))["peers"]["postgres"]["url"]

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://platform@{address}/postgres", connect_timeout=5)


@pytest.mark.parametrize(
    "path", ["/v1/models", "/key/info", "/v1/chat/completions", "/config/yaml"]
)
@pytest.mark.parametrize("host", ["", "x/health/liveliness?", "x/health/readiness#"])
def test_litellm_asks_for_a_key_whatever_the_host_says(embedded_peers: Peers, path: str, host: str):
    headers = {"host": host} if host else {}
    method = "POST" if path == "/v1/chat/completions" else "GET"

    answer = httpx.request(
        method, f"{embedded_peers.litellm_url}{path}", headers=headers, timeout=30
    )

    assert answer.status_code in (400, 401, 403, 404)
    assert answer.status_code != 404 or path == "/config/yaml"


def _as_user(user: int, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words, user=user, group=user, extra_groups=[], cwd="/", capture_output=True, check=False
    )
