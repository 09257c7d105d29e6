"""Who a request is from: only trusted proxies can say, in any notation."""

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chat_platform.settings import Settings
from chat_platform.web.forwarding import TrustedProxies

TRUSTED = Settings(
    _env_file=None,  # pyright: ignore[reportCallIssue]
    secret_key=SecretStr("s" * 40),
    trusted_proxies="10.0.0.0/8",
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    told = {"client": request.client and request.client.host, "scheme": request.url.scheme}
    await JSONResponse(told)(scope, receive, send)


async def seen(peer: str, port: int = 4711, **headers: str) -> dict[str, str]:
    app = TrustedProxies(echo, lambda: TRUSTED)
    transport = httpx.ASGITransport(app=app, client=(peer, port))
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get("/", headers=given)).json()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", "203.0.113.5", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:5678", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, [2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", '"2001:DB8::1"', "2001:db8::1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("::ffff:198.51.100.7", "203.0.113.5", "198.51.100.7"),
        # Anyone may have written what is left of an unknown hop.
        ("10.0.0.1", "203.0.113.5, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, unknown, 10.0.0.2", "10.0.0.2"),
    ],
)
async def test_only_trusted_proxies_tell_who_the_client_is(peer: str, forwarded: str, client: str):
    assert (await seen(peer, X_Forwarded_For=forwarded))["client"] == client


@pytest.mark.parametrize(
    ("peer", "told", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "HTTPS", "https"),
        ("10.0.0.1", "https,http", "https"),
        ("10.0.0.1", "http, https", "http"),
        ("10.0.0.1", "gopher", "http"),
        ("198.51.100.7", "https", "http"),
    ],
)
async def test_only_trusted_proxies_tell_that_it_was_https(peer: str, told: str, scheme: str):
    assert (await seen(peer, X_Forwarded_Proto=told))["scheme"] == scheme


@pytest.mark.parametrize(
    ("peer", "forwarded", "client", "scheme"),
    [
        ("10.0.0.1", "for=203.0.113.5", "203.0.113.5", "http"),
        ("10.0.0.1", "for=203.0.113.5;proto=https;by=10.0.0.1", "203.0.113.5", "https"),
        ("10.0.0.1", 'For="[2001:db8::1]:4711";Proto=HTTPS', "2001:db8::1", "https"),
        ("10.0.0.1", "for=1.2.3.4, for=203.0.113.5, for=10.0.0.2", "203.0.113.5", "http"),
        # What the client itself wrote is left of its own address.
        ("10.0.0.1", "for=1.2.3.4;proto=https, for=203.0.113.5;proto=http", "203.0.113.5", "http"),
        ("10.0.0.1", "for=203.0.113.5;proto=https, for=10.0.0.2", "203.0.113.5", "https"),
        ("10.0.0.1", "for=203.0.113.5, for=unknown;proto=https", "10.0.0.1", "https"),
        ("10.0.0.1", "for=_hidden", "10.0.0.1", "http"),
        ("10.0.0.1", "proto=https", "10.0.0.1", "https"),
        ("10.0.0.1", 'for="1.2.3.4, for=203.0.113.5', "10.0.0.1", "http"),
        ("10.0.0.1", "for=203.0.113.5;proto=gopher", "203.0.113.5", "http"),
        ("198.51.100.7", "for=203.0.113.5;proto=https", "198.51.100.7", "http"),
    ],
)
async def test_trusted_proxies_may_tell_by_the_standards_header(
    peer: str, forwarded: str, client: str, scheme: str
):
    assert await seen(peer, Forwarded=forwarded) == {"client": client, "scheme": scheme}


@pytest.mark.parametrize(
    "told", [{"X_Forwarded_For": "203.0.113.5"}, {"X_Forwarded_Proto": "http"}]
)
async def test_a_clients_own_forwarded_does_not_count_beside_the_proxys_headers(
    told: dict[str, str],
):
    answer = await seen("10.0.0.1", 4711, Forwarded="for=1.2.3.4;proto=https", **told)

    assert answer == {"client": told.get("X_Forwarded_For", "10.0.0.1"), "scheme": "http"}


@pytest.mark.parametrize(
    ("client", "port", "forwarded"),
    [
        ("203.0.113.5", 0, "203.0.113.5"),
        ("10.0.0.1", 0, "203.0.113.5, 10.0.0.1"),
        ("203.0.113.5", 5678, "203.0.113.5:5678"),
        ("2001:db8::1", 443, "[2001:db8::1]:443"),
        ("anything", 0, "anything"),
    ],
)
async def test_what_a_web_server_put_in_the_peers_place_is_not_believed(
    client: str, port: int, forwarded: str
):
    told = await seen(client, port, X_Forwarded_For=forwarded, X_Forwarded_Proto="https")

    assert told == {"client": "", "scheme": "http"}
