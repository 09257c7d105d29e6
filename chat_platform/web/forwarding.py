"""The real client of a request: its connection's peer, or what trusted proxies report."""

import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_platform.settings import Settings
from chat_platform.web.forwarded import read_forwarded

log = structlog.get_logger()

Address = IPv4Address | IPv6Address
Networks = Iterable[IPv4Network | IPv6Network]

UNKNOWN_CLIENT = ("", 0)
"""For requests whose peer the web server hides: they share all limits."""
_SCHEMES = {
    "http": {"http": "http", "https": "https"},
    "websocket": {"http": "ws", "https": "wss"},
}


class TrustedProxies:
    """Puts the real client's address and scheme into the scope, if a trusted proxy reports them.

    From anyone else the forwarding headers are unverified, and are ignored.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app, self._settings = app, settings
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            scope = self._with_client(scope)
        await self._app(scope, receive, send)

    def _with_client(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        hops = _listed(headers, "x-forwarded-for")
        peer = _peer(scope["client"], hops)
        if peer is None:
            self._warn()
            return {**scope, "client": UNKNOWN_CLIENT}
        trusted = self._settings().trusted_proxy_networks
        if not _is_in(peer, trusted):
            return {**scope, "client": (str(peer), scope["client"][1])}
        client, scheme = _told(peer, hops, headers, trusted)
        told = {"client": (str(client), 0)}
        return {**scope, **told, "scheme": _SCHEMES[scope["type"]].get(scheme, scope["scheme"])}

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.error("web_server.hides_peers", hint="let it not evaluate X-Forwarded-For")


def keep_peers_as_they_are() -> None:
    """Keep uvicorn from replacing the peer's address with X-Forwarded-For.

    By default it trusts every client on its own machine, and drops the peer's address, so that
    TRUSTED_PROXIES could no longer be applied. `_peer` detects other servers that do the same.
    """
    rewriting: Any = sys.modules.get("uvicorn.middleware.proxy_headers")
    if rewriting is not None:
        rewriting.ProxyHeadersMiddleware.__call__ = _pass_on


def address_of(text: str) -> Address | None:
    """Parse an address as proxies write it: `1.2.3.4:5678`, `[2001:db8::1]:443`, `::ffff:1.2.3.4`.

    Returns None for `unknown`, names and anything invalid.
    """
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _pass_on(middleware: Any, scope: Scope, receive: Receive, send: Send) -> object:
    return middleware.app(scope, receive, send)


def _peer(client: tuple[str, int], hops: list[str]) -> Address | None:
    """Return the address at the other end of the connection; None if the server hides it.

    A connection's port is never 0, and hardly ever the one that a header gives for the same
    address: in these cases the address comes from the header.
    """
    host, port = client
    is_claimed = port == 0 or f"{host}:{port}" in hops or f"[{host}]:{port}" in hops
    return None if is_claimed else address_of(host)


def _told(
    peer: Address, hops: list[str], headers: Headers, trusted: Networks
) -> tuple[Address, str]:
    """Return the client and the scheme it used, as reported by our proxies.

    `Forwarded` counts only without X-Forwarded-For and -Proto: a proxy that writes these passes on
    whatever `Forwarded` the client itself sent.
    """
    schemes = _listed(headers, "x-forwarded-proto")
    if hops or schemes:
        client, _ = _client(peer, hops, trusted)
        # If there are several, that of the first proxy.
        return client, schemes[0].lower() if schemes else ""
    forwarded = read_forwarded(", ".join(headers.getlist("forwarded")))
    client, place = _client(peer, [hop.address for hop in forwarded], trusted)
    return client, forwarded[place].proto if forwarded else ""


def _client(peer: Address, hops: list[str], trusted: Networks) -> tuple[Address, int]:
    """Return the nearest hop that is not our proxy, and its position from the end.

    The right end was written by the proxy nearest to us; anything to the left of the first foreign
    or `unknown` hop may be forged.
    """
    client, place = peer, -1
    for number, hop in enumerate(reversed(hops), 1):
        address = address_of(hop)
        if address is None:
            break
        client, place = address, -number
        if not _is_in(address, trusted):
            break
    return client, place


def _listed(headers: Headers, name: str) -> list[str]:
    parts = (part.strip() for part in ",".join(headers.getlist(name)).split(","))
    return [part for part in parts if part]


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
