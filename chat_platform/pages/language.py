"""The language that this build of the pages speaks: `_("Sign in")` while they are compiled."""

import os

from chat_platform.web.i18n import words_in

PAGES_LANGUAGE = os.environ.get("PAGES_LANGUAGE", "en")

_ = words_in(PAGES_LANGUAGE)
