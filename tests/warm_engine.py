"""Engines that share their compiled statements, as a server's one engine keeps its own.

An engine compiles each statement once. With a fresh engine for every test, that was half of the
time of a short test.
"""

from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.database.engine import open_engine

_dialects: dict[str, Dialect] = {}
"""The first engine's dialect by driver: compiled statements belong to one dialect object."""
_compiled: dict[Any, Any] = {}


def open_warm_engine(url: str) -> AsyncEngine:
    """Return a test's own engine on this database."""
    engine = open_engine(url)
    sync = engine.sync_engine
    sync.dialect = _dialects.setdefault(f"{sync.dialect.name}+{sync.dialect.driver}", sync.dialect)
    sync.update_execution_options(compiled_cache=_compiled)
    return engine
