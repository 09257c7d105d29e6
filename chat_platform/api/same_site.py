"""Refuses writes that another site's page made a browser send (CSRF)."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from chat_platform.errors import NotAllowed
from chat_platform.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def ensure_same_site(connection: HTTPConnection, settings: Settings) -> None:
    """Raise NotAllowed `cross_site` for a write from a page of another origin.

    Browsers tell where a request comes from in Sec-Fetch-Site and Origin, and pages cannot forge
    either. A request with neither comes from no browser of this decade: it carries no cookie
    that its sender does not own.
    """
    if connection.scope.get("method", "GET") in _SAFE_METHODS:
        return
    origin = connection.headers.get("origin")
    if origin is not None and origin.rstrip("/") in settings.origins:
        return
    site = connection.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if site is None and (origin is None or _is_own(origin, connection)):
        return
    raise NotAllowed("This request came from another site.", code="cross_site")


def _is_own(origin: str, connection: HTTPConnection) -> bool:
    # The scheme is left out: behind a TLS proxy ours differs from the browser's.
    return bool(origin) and urlsplit(origin).netloc == connection.headers.get("host")
