"""What every request passes before a route: hosts, proxies, sizes, origins, headers."""

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chat_platform.api.problems import refusal
from chat_platform.settings import Settings
from chat_platform.web.doors import BodyLimit, KnownHosts, TrustedProxies


def settings(**given: str) -> Settings:
    return Settings(_env_file=None, secret_key=SecretStr("s" * 40), **given)  # pyright: ignore[reportCallIssue, reportArgumentType]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    size = len(await request.body())
    told = {"client": request.client and request.client.host, "scheme": request.url.scheme}
    await JSONResponse({**told, "size": size})(scope, receive, send)


def asking(app, *, peer: str = "198.51.100.7") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.5", 200),
        ("chat.example.com", 200),
        ("backend:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
async def test_only_our_own_hosts_are_answered(host: str, status: int):
    ours = settings(
        allowed_origins="https://chat.example.com", backend_base_url="http://backend:8000"
    )
    async with asking(KnownHosts(echo, lambda: ours, refusal)) as client:
        answer = await client.get("/", headers={"Host": host})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("198.51.100.7", "203.0.113.5", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
async def test_only_trusted_proxies_tell_who_the_client_is(peer: str, forwarded: str, seen: str):
    ours = settings(trusted_proxies="10.0.0.0/8")
    async with asking(TrustedProxies(echo, lambda: ours), peer=peer) as client:
        answer = await client.get("/", headers={"X-Forwarded-For": forwarded})

    assert answer.json()["client"] == seen


@pytest.mark.parametrize(("peer", "scheme"), [("10.0.0.1", "https"), ("198.51.100.7", "http")])
async def test_only_trusted_proxies_tell_that_it_was_https(peer: str, scheme: str):
    ours = settings(trusted_proxies="10.0.0.1")
    async with asking(TrustedProxies(echo, lambda: ours), peer=peer) as client:
        answer = await client.get("/", headers={"X-Forwarded-Proto": "https"})

    assert answer.json()["scheme"] == scheme


async def test_a_body_may_be_as_long_as_the_limit():
    async with asking(BodyLimit(echo, refusal, max_bytes=10)) as client:
        answer = await client.post("/", content=b"x" * 10)

    assert answer.json()["size"] == 10


async def test_a_longer_body_is_refused_before_it_is_read(client: httpx.AsyncClient):
    answer = await client.post("/api/v1/auth/login", content=b"x" * 1_000_001)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_body_that_hides_its_length_is_refused_too(client: httpx.AsyncClient):
    async def pieces():
        for _ in range(11):
            yield b"x" * 100_000

    answer = await client.post("/api/v1/auth/login", content=pieces())

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_pages_of_other_origins_may_not_read_the_api(client: httpx.AsyncClient):
    answer = await client.get("/api/v1/health/live", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


async def test_the_api_tells_browsers_to_guess_frame_and_keep_nothing(client: httpx.AsyncClient):
    answer = await client.get("/api/v1/health/live")

    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


async def test_https_stays_https(client: httpx.AsyncClient):
    plain = await client.get("/api/v1/health/live")
    safe = await client.get("https://platform.test/api/v1/health/live")

    assert "strict-transport-security" not in plain.headers
    assert "strict-transport-security" in safe.headers


class TestAllowedOrigins:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"allowed_origins": "https://app.example.com"})

    async def test_pages_of_allowed_origins_may_read_the_api(self, client: httpx.AsyncClient):
        origin = {"Origin": "https://app.example.com"}

        answer = await client.get("/api/v1/health/live", headers=origin)

        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"

    async def test_a_preflight_allows_what_the_api_takes(self, client: httpx.AsyncClient):
        asks = {
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, if-match",
        }

        answer = await client.options("/api/v1/auth/me", headers=asks)

        assert answer.status_code == 200
        assert "PUT" in answer.headers["access-control-allow-methods"]
