"""The only place that builds adapters: settings in, a running AppContext out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat_platform.context import AppContext
from chat_platform.settings import Settings


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[AppContext]:
    """Open the database and the adapters, and close them again in reverse order."""
    raise NotImplementedError
    yield  # type: ignore[unreachable]
