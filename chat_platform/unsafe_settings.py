"""Checks for settings that production must not start with. Reads no environment."""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

MIN_SECRET_LENGTH = 32
"""For the key that signs access tokens and derives all other keys."""
MIN_SHARED_SECRET_LENGTH = 20
"""For secrets shared with peers and scrapers."""
SHARED_SECRETS = (
    "METRICS_TOKEN",
    "LETTA_API_TOKEN",
    "LETTA_GLOBAL_API_KEY",
    "LITELLM_MASTER_KEY",
)
_MIN_VARIETY = 4
"""A key with fewer different characters was typed by a person, not generated."""
_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|this|in)|your[-_ ]|default|example|insecure|placeholder", re.I
)
"""Words in placeholder keys; a random key contains one of them once in millions."""
_WIDEST_NETWORK = {4: 8, 6: 7}
"""The prefix lengths of the widest private networks: 10.0.0.0/8 and fc00::/7."""


def is_placeholder(secret: str) -> bool:
    return bool(_PLACEHOLDER.search(secret)) or len(set(secret)) < _MIN_VARIETY


def secret_key_problem(key: str, *, is_production: bool) -> str:
    if not key:
        return f"SECRET_KEY must be set, to at least {MIN_SECRET_LENGTH} random characters"
    if len(key) < MIN_SECRET_LENGTH:
        return f"SECRET_KEY must have at least {MIN_SECRET_LENGTH} random characters"
    if is_production and is_placeholder(key):
        return "SECRET_KEY is a placeholder: generate a random one with `openssl rand -base64 48`"
    return ""


def shared_secret_problem(name: str, secret: str) -> str:
    """Return what is wrong with a secret of SHARED_SECRETS, if it is set."""
    if not secret:
        return ""
    if len(secret) < MIN_SHARED_SECRET_LENGTH:
        return f"{name} must have at least {MIN_SHARED_SECRET_LENGTH} random characters"
    if is_placeholder(secret):
        return f"{name} is a placeholder: generate a random one with `openssl rand -base64 24`"
    return ""


def origin_problems(origins: Iterable[str]) -> list[str]:
    return [
        f"ALLOWED_ORIGINS: {origin} is not an origin; write each as https://chat.example.com"
        for origin in sorted(origins)
        if not _is_origin(origin)
    ]


def trusted_proxy_problems(networks: Iterable[IPv4Network | IPv6Network]) -> list[str]:
    return [
        f"TRUSTED_PROXIES: {network} covers more than your proxies: anyone"
        " in it could claim any address"
        for network in networks
        if network.prefixlen < _WIDEST_NETWORK[network.version]
    ]


def proxy_port_problem(proxy_port: int, port: int, letta_base_url: str) -> str:
    """Return what is wrong with PROXY_PORT, if it is set."""
    if not proxy_port:
        return ""
    if proxy_port == port:
        return "PROXY_PORT must differ from PORT"
    host = urlsplit(letta_base_url).hostname if letta_base_url else "localhost"
    if host != "localhost" and not _is_loopback(host or ""):
        return "PROXY_PORT is for an agent server on this machine: LETTA_BASE_URL is another one"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    # Only these two parts: no path, no query, no password, no wildcard.
    is_host = bool(host) and re.fullmatch(r"[\w.:\[\]-]+", parts.netloc) is not None
    is_whole = text == f"{parts.scheme}://{parts.netloc}"
    return is_host and is_whole and parts.scheme in ("http", "https")


def traces_problem(endpoint: str) -> str:
    if not endpoint or find_spec("opentelemetry.sdk"):
        return ""
    return (
        "OTEL_EXPORTER_OTLP_ENDPOINT needs packages that are not installed: "
        "see requirements-traces.txt"
    )
