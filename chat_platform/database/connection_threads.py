"""The threads of connections to SQLite: one each, which ends a moment after its connection."""

import asyncio
from threading import Thread
from time import monotonic
from typing import Any

import aiosqlite

PATIENCE_SECONDS = 2.0


class ConnectionThreads:
    """Lets an engine that is disposed of wait for the threads of its closed connections.

    SQLAlchemy closes the connection of a cancelled task without waiting for it. A thread that
    finishes after the event loop is closed has nobody to tell, and dies with a traceback.
    """

    def __init__(self) -> None:
        self._connections: list[Any] = []

    def connect(self, *args: Any, **options: Any) -> aiosqlite.Connection:
        connection: Any = aiosqlite.connect(*args, **options)
        # As SQLAlchemy has it: an open connection keeps no program from ending.
        connection._thread.daemon = True
        self._connections = [one for one in self._connections if one._thread.is_alive()]
        self._connections.append(connection)
        return connection

    async def ended(self) -> None:
        """Wait until they have ended, but no longer than PATIENCE_SECONDS."""
        ending = [one._thread for one in self._connections if not one._running]
        if any(thread.is_alive() for thread in ending):
            await asyncio.to_thread(_join, ending)


def _join(threads: list[Thread]) -> None:
    end = monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(end - monotonic(), 0))
