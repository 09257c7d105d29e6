"""Tries what a stranger would try on Letta: bypassing its password, and reaching it remotely.

Reads at most one page of agents, and changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx
import psutil

from chat_platform.launcher.findings import Finding

_AGENTS = "/v1/agents/?limit=1"
# Starlette before 1.0.1 takes a part of the path out of this header (CVE-2026-48710), and
# Letta lets everybody read its health.
_TRICKS = ("x/v1/health/?", "x/v1/health/#")
_SECONDS = 5.0
_CONNECT_SECONDS = 1.0


async def password_finding(url: str) -> Finding:
    """Request agents without the password, plainly and with the header that alters the path."""
    subject = "Letta's password"
    async with httpx.AsyncClient(base_url=url, timeout=_SECONDS) as client:
        if await _lets_in(client, {}):
            advice = "set LETTA_SERVER_SECURE=true and LETTA_SERVER_PASSWORD there"
            return Finding("wrong", subject, f"{url} asks for none", advice)
        for host in _TRICKS:
            if await _lets_in(client, {"host": host}):
                words = f"a Host header bypasses it at {url} (CVE-2026-48710)"
                advice = "install starlette>=1.3.1 there, and let only this platform reach it"
                return Finding("wrong", subject, words, advice)
    return Finding("ok", subject, "asked for, whatever the Host header says")


async def reach_finding(url: str, addresses: Iterable[str] | None = None) -> Finding:
    """Check whether others can reach it: at this machine's other addresses, or unencrypted."""
    subject = "Letta's reach"
    parts = urlsplit(url)
    if not _is_local(parts.hostname or ""):
        if parts.scheme == "https":
            return Finding("ok", subject, f"{parts.hostname}, by https")
        words = f"{parts.hostname} gets the password and all messages unencrypted"
        return Finding("note", subject, words, "use https, or a private network")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for address in _own_addresses() if addresses is None else addresses:
        if await asyncio.to_thread(_answers, address, port):
            words = f"other machines reach it at {address}:{port}"
            return Finding("wrong", subject, words, "let it listen on 127.0.0.1, or block the port")
    return Finding("ok", subject, "reachable from this machine only")


async def _lets_in(client: httpx.AsyncClient, headers: dict[str, str]) -> bool:
    try:
        return (await client.get(_AGENTS, headers=headers)).status_code == 200
    except httpx.HTTPError:
        return False


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_addresses() -> list[str]:
    """Return the addresses at which other machines may reach this one."""
    found = [
        address.address
        for each in psutil.net_if_addrs().values()
        for address in each
        if address.family == socket.AF_INET
    ]
    return [address for address in found if not _is_local(address)]


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
