"""What a browser tells of its person without an account: language and time zone."""

from http.cookies import CookieError, SimpleCookie
from zoneinfo import ZoneInfo

from chat_platform.web.i18n import LANGUAGES, language_from_browser, zone_named

LANGUAGE_COOKIE = "language"
"""What a visitor chose on the sign-in page."""
ZONE_COOKIE = "zone"
"""The browser's time zone; page.js keeps it here."""


def language_of_visitor(cookie_header: str, accept_language: str) -> str:
    """Return an earlier choice, else what the browser asks for."""
    chosen = _cookie(cookie_header, LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else language_from_browser(accept_language)


def zone_of_visitor(cookie_header: str) -> ZoneInfo:
    return zone_named(_cookie(cookie_header, ZONE_COOKIE) or "UTC")


def _cookie(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
