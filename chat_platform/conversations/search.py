"""Finds words in an account's messages: FTS5 on SQLite, full text on Postgres.

Both find other forms of a word, in Russian and English: Postgres by stemming, SQLite by searching
for the beginning of a word without its ending.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, column, func, literal_column, table, text
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.conversations.history import fitting
from chat_platform.database.engine import reading
from chat_platform.models import Message
from chat_platform.values.ids import AccountId

MAX_WORDS = 16
SNIPPET_CHARACTERS = 160

_CAPITALS = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
_SMALL = _CAPITALS.lower()
_CONFIGURATION: ColumnElement[str] = literal_column("'russian'")
_WORD = re.compile(r"\w+")
_RUSSIAN_ENDING = re.compile(
    r"(?<=\w{3})(ами|ями|ого|его|ому|ему|ыми|ими|ешь|ишь|ете|ите|[аеёиоуыэюяйь]{1,2}|[аяоеёыи][мхв])$"
)
_ENGLISH_ENDING = re.compile(r"(?<=\w{3})(ing|ed|es|s)$")


@dataclass(frozen=True)
class Found:
    """A message with the words around the first match; the snippet is plain text."""

    message: Message
    snippet: str


async def search(
    ctx: AppContext, account_id: AccountId, *, query: str, limit: int = 20
) -> Sequence[Found]:
    """Return the newest messages that contain all the words of the query.

    Punctuation and operators have no special meaning: no query fails, and one without words finds
    nothing. If the messages are very long, fewer are returned (see `fitting`).
    """
    stems = stems_of(query)
    if not stems:
        return []
    matches = (
        matches_in_postgres(query)
        if ctx.engine.dialect.name == "postgresql"
        else matches_in_sqlite(account_id, stems)
    )
    newest = (
        select(Message)
        .where(col(Message.account_id) == account_id, matches)
        .order_by(col(Message.position).desc())
        .limit(limit)
    )
    async with reading(ctx.engine) as session:
        messages = fitting((await session.exec(newest)).all())
    return await asyncio.to_thread(_with_snippets, messages, stems)


def _with_snippets(messages: Sequence[Message], stems: Sequence[str]) -> list[Found]:
    return [Found(message, snippet(message.content, stems)) for message in messages]


def stems_of(query: str) -> list[str]:
    """Return the beginnings of the query's words, in lower case."""
    return [_stem(word) for word in _words(query)]


def snippet(content: str, stems: Sequence[str]) -> str:
    """Return the part of the content around its first matching word."""
    folded = content.lower()
    places = [place for stem in stems if (place := folded.find(stem)) >= 0]
    place = min(places, default=0)
    start = max(0, place - SNIPPET_CHARACTERS // 3)
    if start:
        # Starts at the beginning of a word, if there is one before the match.
        start = content.find(" ", start, place) + 1 or start
    part = " ".join(content[start : start + SNIPPET_CHARACTERS].split())
    is_cut = start + SNIPPET_CHARACTERS < len(content)
    return f"{'…' if start else ''}{part}{'…' if is_cut else ''}"


def _words(query: str) -> list[str]:
    return _WORD.findall(query.lower().replace("_", " "))[:MAX_WORDS]


def _stem(word: str) -> str:
    ending = _RUSSIAN_ENDING if re.search("[а-яё]", word) else _ENGLISH_ENDING
    return ending.sub("", word)


def matches_in_sqlite(account_id: AccountId, stems: Sequence[str]) -> ColumnElement[bool]:
    # Quoted, a word is never FTS5 syntax. The account is part of the index, so that a word that
    # everybody uses costs no more than one's own messages.
    words = " AND ".join(f'content : "{stem}"*' for stem in stems)
    found = table("message_search", column("rowid"))
    rows = (
        select(found.c.rowid)
        .select_from(found)
        .where(
            text("message_search MATCH :words").bindparams(
                words=f'account_id : "{account_id}" AND {words}'
            )
        )
    )
    return col(Message.position).in_(rows)


def matches_in_postgres(query: str) -> ColumnElement[bool]:
    # Must equal the expression of the index message_search; its migration explains why.
    lowered = func.translate(
        col(Message.content), literal_column(f"'{_CAPITALS}'"), literal_column(f"'{_SMALL}'")
    )
    words = func.plainto_tsquery(_CONFIGURATION, " ".join(_words(query)))
    return func.to_tsvector(_CONFIGURATION, lowered).op("@@")(words)
