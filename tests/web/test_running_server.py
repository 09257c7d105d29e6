"""The doors of a running server, with all that Reflex and the web server put before ours."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from chat_platform.launcher.ports import free_port
from tests.environment import clean_environment

pytestmark = pytest.mark.programs

ROOT = Path(__file__).resolve().parents[2]
FRIEND = "https://app.example.com"
STRANGER = "https://evil.example"
NEW = {"email": "door@example.com", "password": "correct horse battery"}


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without any peer, behind a proxy on this machine, with one friendly origin."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--ws"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, "--port", str(port), "chat_platform.app:app"],
            cwd=ROOT,
            env=clean_environment(
                ENVIRONMENT="test",
                DATA_DIR=str(folder),
                ALLOWED_ORIGINS=FRIEND,
                TRUSTED_PROXIES="127.0.0.1",
                REFLEX_ENV_MODE="prod",
                __REFLEX_SKIP_COMPILE="true",
            ),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api/v1/health/live", running, folder / "log")
        yield url
    finally:
        running.terminate()
        running.wait(60)


def _wait_for(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and running.poll() is None:
        try:
            httpx.get(url, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def client(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url, trust_env=False) as client:
        yield client


def preflight(client: httpx.Client, origin: str) -> httpx.Response:
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
    return client.options("/api/v1/agent/memory/human", headers={"Origin": origin, **asks})


def test_pages_of_allowed_origins_may_call_the_api(client: httpx.Client):
    asked = preflight(client, FRIEND)
    answer = client.get("/api/v1/health/live", headers={"Origin": FRIEND})

    assert asked.status_code == 200
    assert "PUT" in asked.headers["access-control-allow-methods"]
    for reply in (asked, answer):
        assert reply.headers.get_list("access-control-allow-origin") == [FRIEND]


def test_pages_of_other_sites_may_not(client: httpx.Client):
    asked = preflight(client, STRANGER)
    answer = client.get("/api/v1/health/live", headers={"Origin": STRANGER})

    assert asked.status_code == 400
    for reply in (asked, answer):
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("origin", "status"), [("{own}", 101), (FRIEND, 101), (STRANGER, 403), ("null", 403)]
)
def test_the_socket_opens_for_our_pages_and_allowed_origins(
    server_url: str, origin: str, status: int
):
    assert handshake(server_url, origin.format(own=server_url)) == status


def handshake(url: str, origin: str) -> int:
    """Ask to open the pages' socket; return the status of the answer."""
    host = url.removeprefix("http://")
    name, _, port = host.partition(":")
    request = (
        "GET /_event/?EIO=4&transport=websocket HTTP/1.1\r\n"
        f"Host: {host}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with closing(socket.create_connection((name, int(port)), timeout=10)) as connection:
        connection.sendall(request.encode())
        return int(connection.recv(100).split()[1])


def test_other_hosts_are_not_answered(client: httpx.Client):
    answer = client.get("/api/v1/health/live", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.json()["title"]) == (421, "Not our host")


def test_behind_a_trusted_https_proxy_cookies_are_secure(client: httpx.Client):
    by_https = {"X-Forwarded-Proto": "https", "Origin": str(client.base_url).rstrip("/")}

    answer = client.post("/api/v1/session/register", data=NEW, headers=by_https)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "secure", "path=/"} <= flags
    assert "strict-transport-security" in answer.headers


def test_the_login_form_of_another_site_is_refused(client: httpx.Client):
    answer = client.post("/api/v1/session/login", data=NEW, headers={"Origin": STRANGER})

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("is_announced", [True, False])
def test_large_bodies_are_refused(client: httpx.Client, is_announced: bool):
    body = b"x" * 1_000_001

    answer = client.post(
        "/api/v1/auth/login", content=body if is_announced else (body[i::4] for i in range(4))
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
