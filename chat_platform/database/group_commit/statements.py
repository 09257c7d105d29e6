"""SQL with `:name` parameters, the same for SQLite and Postgres, and plans made of such statements.

Only for the hottest path: with SQLAlchemy Core a statement takes about five times as long
(35 us against 7 us on SQLite), and each model call needs a dozen.
"""

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chat_platform.database.clock import POSTGRES_NOW_MS
from chat_platform.values.clock import now_ms

T = TypeVar("T")
Item = TypeVar("Item")

Params = Mapping[str, Any]
Rows = list[Sequence[Any]]

_LIST = re.compile(r"in :(\w+)")
_NAME = re.compile(r":(\w+)")
_NOW = ":database_now_ms"
_LOCK = re.compile(r"\s+for update")


class Statement:
    """A statement with `:name` parameters; `in :names` takes a list of texts.

    `for update` is left out on SQLite, where a write transaction locks the whole database, and
    with it a statement that `only_locks`. `:database_now_ms` comes from the database's clock.
    `sqlite`: what SQLite executes instead, in this order; the last one's rows are the result.
    """

    def __init__(
        self, text: str, *, only_locks: bool = False, sqlite: Sequence[str] | None = None
    ) -> None:
        self.only_locks = only_locks
        texts = [_LOCK.sub("", one) for one in sqlite or [text]]
        self._lists = _LIST.findall(text)
        self._has_now = _NOW in text
        self._one = [_LIST.sub(r"= :\1", one) for one in texts]
        self._many = [_LIST.sub(r"in (select value from json_each(:\1))", one) for one in texts]
        clocked = text.replace(_NOW, POSTGRES_NOW_MS)
        self.names = list(dict.fromkeys(_NAME.findall(clocked)))
        """The parameters in the order of their numbers on Postgres."""
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        numbered = _NAME.sub(lambda m: numbers[m[1]], _LIST.sub(r"= any(:\1)", clocked))
        self.postgres = numbered.encode()
        self.prepared_name = b"cp_" + hashlib.sha256(self.postgres).hexdigest()[:24].encode()
        """A hash of its text: the same name means the same statement, whoever prepared it."""

    def sqlite(self, params: Params) -> tuple[list[str], Params]:
        """Return the texts and parameters for SQLite, which has neither lists nor a clock."""
        if self._has_now:
            params = {**params, "database_now_ms": now_ms()}
        if not self._lists:
            return self._one, params
        lists = {name: params[name] for name in self._lists}
        if all(len(values) == 1 for values in lists.values()):
            return self._one, {**params, **{name: values[0] for name, values in lists.items()}}
        return self._many, {**params, **{k: json.dumps(v) for k, v in lists.items()}}


@dataclass(slots=True)
class Step:
    """Statements that can be sent together: none needs another's rows."""

    queries: list[tuple[Statement, Params]] = field(default_factory=list[tuple[Statement, Params]])
    is_last: bool = False
    """The transaction is committed with it."""
    may_lag: bool = False
    """With `is_last`, on Postgres: if the database's machine dies in the next second, the
    transaction may be lost. What is committed afterwards without this makes it durable too."""

    def add(self, statement: Statement, **params: object) -> None:
        self.queries.append((statement, params))


Plan = Generator[Step, list[Rows], Sequence[T]]
"""Yields steps, receives the rows of their statements, and returns one result per item.

It may run again after a rollback, so it does nothing but this.
"""


@dataclass(frozen=True, slots=True)
class Again:
    """A result that is none yet: `planner` must plan this item, in the next transaction."""

    planner: "Planner[Any, Any]"


Planner = Callable[[list[Item]], Plan[T | Again]]
