"""What a browser reports without an account: language and time zone."""

from zoneinfo import ZoneInfo

from chat_platform.values.cookies import cookies_of
from chat_platform.values.languages import is_language
from chat_platform.web.i18n import language_from_browser, zone_named

LANGUAGE_COOKIE = "language"
"""The visitor's choice on the sign-in page."""
ZONE_COOKIE = "zone"
"""The browser's time zone; set by page.js."""


def language_of_visitor(cookie_header: str, accept_language: str) -> str:
    """Return an earlier choice, else the browser's preference."""
    chosen = cookies_of(cookie_header).get(LANGUAGE_COOKIE, "")
    return chosen if is_language(chosen) else language_from_browser(accept_language)


def zone_of_visitor(cookie_header: str) -> ZoneInfo:
    return zone_named(cookies_of(cookie_header).get(ZONE_COOKIE) or "UTC")
