"""The language of this build of the pages: `_("Sign in")` is translated at compile time."""

import os

from chat_platform.values.languages import language_or_default
from chat_platform.web.i18n import words_in

PAGES_LANGUAGE = language_or_default(os.environ.get("PAGES_LANGUAGE", ""))

_ = words_in(PAGES_LANGUAGE)
