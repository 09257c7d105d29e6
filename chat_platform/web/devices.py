"""A readable name for the program that signed in, from its User-Agent. A hint, not proof."""

import re

from chat_platform.web.i18n import Words

# The first match wins: Edge and Opera call themselves Chrome too, and Chrome calls itself Safari.
_BROWSERS = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Yandex Browser", r"\bYaBrowser/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(Chrome|HeadlessChrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


def device_words(say: Words, told: str) -> str:
    """Return for example "Firefox on Linux"; unknown programs are shown by their own words."""
    browser, system = _first(_BROWSERS, told), _first(_SYSTEMS, told)
    if browser and system:
        return say("{browser} on {system}", browser=browser, system=system)
    return browser or told or say("Unknown device")


def _first(names: tuple[tuple[str, str], ...], told: str) -> str:
    return next((name for name, pattern in names if re.search(pattern, told)), "")
