"""The doors of a running server, including what Reflex and the web server put before them."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from chat_platform.launcher.free_ports import free_port
from tests.web.own_server import SERVERS, own_server

pytestmark = pytest.mark.programs

FRIEND = "https://app.example.com"
STRANGER = "https://evil.example"
NEW = {"email": "door@example.com", "password": "correct horse battery"}


@pytest.fixture(scope="module", params=SERVERS)
def server_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server without any peer, behind a proxy on this machine, with one allowed origin."""
    folder = tmp_path_factory.mktemp("server")
    with own_server(
        folder, request.param, ALLOWED_ORIGINS=FRIEND, TRUSTED_PROXIES="127.0.0.1"
    ) as url:
        yield url


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
    """Try to open the pages' socket; return the status of the answer."""
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
    answer = client.get("/api/v1/openapi.json", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.json()["title"]) == (421, "Unknown host")


def test_health_is_told_under_any_host(client: httpx.Client):
    answer = client.get("/api/v1/health/live", headers={"Host": "healthcheck.railway.app"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/v1/health/live", "/api/v1/docs", "/api/v1/openapi.json", "/nothing-here"]
)
def test_head_and_options_are_answered_at_every_door(client: httpx.Client, path: str):
    get, head, asked = client.get(path), client.head(path), client.options(path)

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert (asked.status_code, asked.headers["allow"]) == (204, "GET, HEAD")


@pytest.mark.parametrize("path", ["/api/v1/health/live", "/api/v1/docs", "/metrics", "/chat"])
def test_a_slash_at_the_end_is_no_way_to_http(client: httpx.Client, path: str):
    headers = {"X-Forwarded-Proto": "https"}

    without, with_slash = (client.get(p, headers=headers) for p in (path, f"{path}/"))

    assert with_slash.status_code == without.status_code
    assert with_slash.headers.get("location") == without.headers.get("location")


def test_behind_a_trusted_https_proxy_cookies_are_secure(client: httpx.Client):
    by_https = {"X-Forwarded-Proto": "https", "Origin": str(client.base_url).rstrip("/")}

    answer = client.post("/api/v1/session/register", data=NEW, headers=by_https)

    assert (answer.status_code, answer.headers["location"]) == (303, "/chat")
    sign_in = answer.headers.get_list("set-cookie")[0]
    flags = {part.strip().lower() for part in sign_in.split(";")[1:]}
    assert sign_in.startswith("__Host-chat_sign_in=")
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


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("allowed", ["", "*"], ids=["by itself", "told to believe everyone"])
def test_nobody_passes_the_login_limit_by_claiming_other_addresses(
    tmp_path: Path, server: str, allowed: str
):
    server_believes = {"FORWARDED_ALLOW_IPS": allowed} if allowed else {}
    wrong = {"email": "door@example.com", "password": "a wrong guess"}

    with (
        own_server(tmp_path, server, **server_believes) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        told = [
            client.post(
                "/api/v1/auth/login",
                json=wrong,
                headers={"X-Forwarded-For": f"203.0.113.{n}", "X-Forwarded-Proto": "https"},
            )
            for n in range(30)
        ]

    assert [answer.status_code for answer in told] == [401] * 10 + [429] * 20
    assert not any("strict-transport-security" in answer.headers for answer in told)


@pytest.mark.parametrize("server", SERVERS)
def test_the_agent_servers_own_port_leads_to_the_same_proxy_and_nothing_else(
    tmp_path: Path, server: str
):
    port, key = free_port(), "sk-key-of-the-agent-server"
    path = "/api/v1/llm-proxy/agent-nobody/test"
    with (
        own_server(tmp_path, server, PROXY_PORT=str(port), LETTA_GLOBAL_API_KEY=key) as url,
        httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client,
    ):
        own = f"http://127.0.0.1:{port}"
        answers = [client.get(f"{base}{path}") for base in (url, own)]
        stranger = client.get(f"{own}{path}", headers={"Authorization": ""})
        elsewhere = client.get(f"{own}/api/v1/health/live")

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["error"]["code"] for answer in answers} == {"agent_not_found"}
    assert (stranger.status_code, elsewhere.status_code) == (401, 404)
    assert elsewhere.json()["error"]["code"] == "not_found"
    with pytest.raises(httpx.ConnectError):
        httpx.get(own, trust_env=False)
