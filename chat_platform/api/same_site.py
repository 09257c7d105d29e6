"""Refuses requests that a page on another site made the browser send with our cookie (CSRF)."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from chat_platform.accounts.refusals import cross_site
from chat_platform.settings import Settings


def ensure_same_site(connection: HTTPConnection, settings: Settings) -> None:
    """Raise NotAllowed `cross_site` for a request from a page of another origin.

    Reads too: a mere link could make a person pay for a search. Browsers state a request's origin
    in Sec-Fetch-Site and Origin, and pages cannot forge either. A request with neither does not
    come from a current browser: any cookie it carries belongs to its sender.
    """
    origin = connection.headers.get("origin")
    if origin is not None and origin.rstrip("/") in settings.origins:
        return
    site = connection.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if site is None and (origin is None or _is_own(origin, connection)):
        return
    raise cross_site()


def _is_own(origin: str, connection: HTTPConnection) -> bool:
    # The scheme is left out: behind a TLS proxy ours differs from the browser's.
    return bool(origin) and urlsplit(origin).netloc == connection.headers.get("host")
