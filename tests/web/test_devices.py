"""Sign-ins are named the way people name their devices."""

import pytest

from chat_platform.web.devices import device_words
from chat_platform.web.i18n import words_in

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (CHROME, "Chrome on Windows"),
        (f"{CHROME} Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Android 16; Mobile; rv:140.0) Firefox/140.0", "Firefox on Android"),
        ("curl/8.5", "curl/8.5"),
        ("", "Unknown device"),
    ],
)
def test_browser_and_system_are_named(told: str, words: str):
    assert device_words(words_in("en"), told) == words
