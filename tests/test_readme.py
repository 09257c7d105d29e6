"""The READMEs state the same limits as the code."""

from pathlib import Path

import pytest

from chat_platform.accounts.password_rule import MAX_CHARACTERS, MIN_CHARACTERS
from chat_platform.accounts.sign_in_rows import LONGEST_SIGN_IN_SECONDS
from chat_platform.process.rate_limits import (
    CHANGES_OF_ACCOUNT,
    EXPORTS_OF_ACCOUNT,
    MESSAGES_OF_ACCOUNT,
    READS_OF_ACCOUNT,
    SEARCHES_OF_ACCOUNT,
)
from chat_platform.unsafe_settings import (
    MIN_SECRET_LENGTH,
    MIN_SHARED_SECRET_LENGTH,
    SHARED_SECRETS,
)
from chat_platform.web.socket_door import SocketLimits

ROOT = Path(__file__).parents[1]
ENGLISH, RUSSIAN = "README.md", "README.ru.md"

MESSAGES, CHANGES, SEARCHES, READS, EXPORTS = (
    rule.limit.amount
    for rule in (
        MESSAGES_OF_ACCOUNT,
        CHANGES_OF_ACCOUNT,
        SEARCHES_OF_ACCOUNT,
        READS_OF_ACCOUNT,
        EXPORTS_OF_ACCOUNT,
    )
)
DAYS = LONGEST_SIGN_IN_SECONDS // 86_400
SOCKETS = SocketLimits()
IDLE_MINUTES = int(SOCKETS.strangers.idle_seconds // 60)
TOLD = {
    ENGLISH: (
        f"`SECRET_KEY` of fewer than {MIN_SECRET_LENGTH} characters",
        f"of fewer than {MIN_SHARED_SECRET_LENGTH} or that looks like",
        f"Passwords have {MIN_CHARACTERS} to {MAX_CHARACTERS:,} characters",
        f"lasts {DAYS} days",
        f"send {MESSAGES} messages, make {CHANGES} changes and {SEARCHES} searches",
        f"read {READS:,} times; in 10 minutes they may export {EXPORTS} times",
        f"up to {SOCKETS.max_sockets:,} open pages, {SOCKETS.max_of_address} of them",
        f"{SOCKETS.max_sockets_of_strangers} and {SOCKETS.max_of_strangers_address}",
        f"after {IDLE_MINUTES} idle minutes",
    ),
    RUSSIAN: (
        f"в `SECRET_KEY` меньше {MIN_SECRET_LENGTH} знаков",
        f"меньше {MIN_SHARED_SECRET_LENGTH} знаков или",
        f"от {MIN_CHARACTERS} до {MAX_CHARACTERS} знаков",
        f"не дольше {DAYS} дней",
        f"{MESSAGES} сообщений, сделать {CHANGES} изменений и {SEARCHES} поисков",
        f"{READS} раз что-нибудь прочитать, за 10 минут — {EXPORTS} раз",
        f"до {SOCKETS.max_sockets} открытых страниц, с одного адреса — до {SOCKETS.max_of_address}",
        f"до {SOCKETS.max_sockets_of_strangers} и до {SOCKETS.max_of_strangers_address}",
        f"после {IDLE_MINUTES} минут бездействия",
    ),
}


@pytest.mark.parametrize(("name", "words"), [(n, w) for n in TOLD for w in TOLD[n]])
def test_a_limit_is_told_as_it_is(name: str, words: str):
    assert words in (ROOT / name).read_text()


@pytest.mark.parametrize("name", [ENGLISH, RUSSIAN])
def test_every_secret_that_production_judges_is_named(name: str):
    text = (ROOT / name).read_text()

    assert [secret for secret in SHARED_SECRETS if f"`{secret}`" not in text] == []
