"""SQL with `:name` parameters, the same for SQLite and Postgres, and plans that are made of it.

For the hottest path only: through SQLAlchemy's Core a statement takes about five times as long
(35 us against 7 us on SQLite), and each model call needs a dozen.
"""

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

Params = Mapping[str, Any]
Rows = list[Sequence[Any]]

_LIST = re.compile(r"in :(\w+)")
_NAME = re.compile(r":(\w+)")
_LOCK = re.compile(r"\s+for update")


class Statement:
    """A statement with `:name` parameters; `in :names` takes a list of texts.

    `for update` is left out on SQLite, where a writing transaction has the database to itself.
    """

    def __init__(self, text: str) -> None:
        unlocked = _LOCK.sub("", text)
        self._lists = _LIST.findall(text)
        self._one = _LIST.sub(r"= :\1", unlocked)
        self._many = _LIST.sub(r"in (select value from json_each(:\1))", unlocked)
        self.names = list(dict.fromkeys(_NAME.findall(text)))
        """The parameters in the order of their numbers on Postgres."""
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        numbered = _NAME.sub(lambda m: numbers[m[1]], _LIST.sub(r"= any(:\1)", text))
        self.postgres = numbered.encode()
        self.prepared_name = b"cp_" + hashlib.sha256(self.postgres).hexdigest()[:24].encode()
        """Of its text: the same name is the same statement, whoever prepared it."""

    def sqlite(self, params: Params) -> tuple[str, Params]:
        """Return the text and parameters for SQLite, which knows no lists."""
        if not self._lists:
            return self._one, params
        lists = {name: params[name] for name in self._lists}
        if all(len(values) == 1 for values in lists.values()):
            return self._one, {**params, **{name: values[0] for name, values in lists.items()}}
        return self._many, {**params, **{k: json.dumps(v) for k, v in lists.items()}}


@dataclass(slots=True)
class Step:
    """Statements that can be sent together: none needs another's rows."""

    queries: list[tuple[Statement, Params]] = field(default_factory=list)
    is_last: bool = False
    """The transaction is committed with it."""

    def add(self, statement: Statement, **params: object) -> None:
        self.queries.append((statement, params))


Plan = Generator[Step, list[Rows], Sequence[T]]
"""Yields steps, is sent the rows of each of their statements, and returns a result an item.

It may run again after a rollback, so it does nothing but this.
"""
Planner = Callable[[list[Item]], Plan[T]]
