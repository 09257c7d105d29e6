"""None of our regular expressions is slow on a hostile text: the work grows with its length."""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

import chat_platform
from tests.stalls import TOO_LONG_SECONDS

CHARACTERS = 20_000
PIECES = (
    *("\n", "\r\n", "\t", " ", ". ", ".\n", "a\n", "1."),
    *("a", "0", "-", "_", ".", "a.", "a ", "é", "я", "😀", "\\", '"', "'", "(", "[", "{", "<", "&"),
    *("&#", "@", "a@", "//", "https://", "http://x.", "```", "`", "*", "=", ";", ",", "%2", "<a "),
    *("sk-", "Bearer ", "data:", '"a":', "what ", "remember ", "my ", "как "),
)
AT_A_PLACE = {
    "chat_platform.web.forwarded._PAIR": "tried at one place after another, each tried once",
    "chat_platform.web.forwarded._NOTHING": "likewise",
}
OF_OUR_OWN_TEXTS = {
    "chat_platform.database.group_commit.statements._LOCK": "reads the statements of the ledger",
}
# They run in other programs' environments, or start one.
PROGRAMS = ("__main__", ".letta.run", ".litellm.run", ".litellm.key_check")


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    for module in pkgutil.walk_packages(chat_platform.__path__, "chat_platform."):
        if not module.name.endswith(PROGRAMS):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield f"{module.name}.{name}", value


FOUND = dict(patterns())


def seconds_of(pattern: "re.Pattern[str] | re.Pattern[bytes]", text: str) -> float:
    began_at = time.thread_time()
    if isinstance(pattern.pattern, bytes):
        re.sub(pattern.pattern, b"", text.encode(), flags=pattern.flags)
    else:
        re.sub(pattern.pattern, "", text, flags=pattern.flags)
    return time.thread_time() - began_at


def texts_of(piece: str) -> Iterator[str]:
    text = (piece * CHARACTERS)[:CHARACTERS]
    yield text
    yield f"a{text}\x00"


@pytest.mark.parametrize("name", sorted(FOUND.keys() - AT_A_PLACE.keys() - OF_OUR_OWN_TEXTS.keys()))
def test_a_pattern_reads_every_text_in_time(name: str):
    slow = {
        piece
        for piece in PIECES
        for text in texts_of(piece)
        if seconds_of(FOUND[name], text) > TOO_LONG_SECONDS
    }

    assert slow == set()


def test_the_exceptions_are_still_there():
    assert AT_A_PLACE.keys() | OF_OUR_OWN_TEXTS.keys() <= FOUND.keys()
