"""What every request passes before a route: hosts, proxies, sizes, origins, headers."""

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chat_platform.api.problems import refusal
from chat_platform.settings import Settings
from chat_platform.web.doors import BodyLimit, KnownHosts, OnlyHttps
from tests.people import Person
from tests.stalls import TOO_LONG_SECONDS, watched_loop


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
    "path", ["/api/v1/health/live", "/api/v1/health/ready", "/api/v1/health/live/"]
)
async def test_health_is_told_to_any_host(path: str):
    async with asking(KnownHosts(echo, settings, refusal)) as client:
        answer = await client.get(path, headers={"Host": "healthcheck.railway.app"})

    assert answer.status_code == 200


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


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": [' + b"[]," * 140_000 + b"[]]}",
        b"{" + b'"":0,' * 100_000 + b'"content":0}',
        b"[" * 100_000,
    ],
    ids=["lists", "members", "deep lists"],
)
async def test_a_short_body_that_takes_long_to_read_is_not_read(
    client: httpx.AsyncClient, alice: Person, body: bytes
):
    async with watched_loop() as stalls:
        answer = await client.post("/api/v1/chat/message", content=body, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert stalls.busy_seconds < TOO_LONG_SECONDS


async def test_the_longest_message_may_be_all_brackets(client: httpx.AsyncClient, alice: Person):
    body = {"content": "[" * 20_000}

    answer = await client.post("/api/v1/chat/message", json=body, headers=alice.headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "Multipart/Form-Data"])
async def test_a_form_is_shorter_than_other_bodies_may_be(client: httpx.AsyncClient, kind: str):
    answer = await client.post(
        "/api/v1/session/login", content=b"&" * 100_000, headers={"Content-Type": kind}
    )

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


async def test_https_stays_https():
    async with asking(OnlyHttps(echo)) as client:
        plain = await client.get("/")
        safe = await client.get("https://localhost/")

    assert "strict-transport-security" not in plain.headers
    assert safe.headers["strict-transport-security"] == "max-age=31536000"


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
