"""The clock that leases use: the database's, since hosts' clocks differ.

With SQLite that is this host's clock, since there is only one host.
"""

from typing import Any

from sqlalchemy import BigInteger, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from chat_platform.values.clock import now_ms

# Not now(), which is constant within a transaction, nor clock_timestamp(), which uses no index.
POSTGRES_NOW_MS = "cast(extract(epoch from statement_timestamp()) * 1000 as bigint)"


class database_now_ms(FunctionElement[int]):  # noqa: N801
    """An expression for the UTC milliseconds at which its statement is executed."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_now_ms)
def _of_host(_element: database_now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    # Read when it is executed: compiled statements are kept.
    now = bindparam("database_now_ms", unique=True, callable_=now_ms, type_=BigInteger())
    return compiler.process(now, **kw)


@compiles(database_now_ms, "postgresql")
def _of_postgres(_element: database_now_ms, _compiler: SQLCompiler, **_kw: Any) -> str:
    return POSTGRES_NOW_MS
