"""Makes a real Postgres fail as by network errors and restarts: lost connections and answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from sqlalchemy.engine import make_url

_READY = b"Z\0\0\0\5"
"""Before a last byte, the end of every answer."""


def cut_connections(url: str) -> int:
    """End every connection to the database, as in a restart; return how many there were."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        ended = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        return len(ended.fetchall())


class Wire:
    """A relay to Postgres that a test can cut at a chosen statement."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_after: list[bytes] = []
        self._cut_at: list[bytes] = []
        self.cuts = 0
        self.talks = asyncio.Event()
        """Unset: nothing gets through, without an error, as when Postgres is stopped."""
        self.talks.set()
        self._is_refusing = False

    @property
    def is_refusing(self) -> bool:
        """Set: every connection is cut, and no new one opens."""
        return self._is_refusing

    @is_refusing.setter
    def is_refusing(self, value: bool) -> None:
        self._is_refusing = value
        if value:
            for writer in self._writers:
                writer.close()

    def cut_at(self, *statement: bytes) -> None:
        """Cut the connection on which all these words appear next, before they reach Postgres."""
        self._cut_at = list(statement)

    def lose_answer_to(self, *statement: bytes) -> None:
        """Let the next such statement reach Postgres, and cut before its answer returns."""
        self._cut_after = list(statement)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.close()
            return
        there, back = await asyncio.open_connection(*self._target)
        ends = (writer, back)
        self._writers.update(ends)
        is_lost = asyncio.Event()
        tasks = [
            asyncio.create_task(self._forward(reader, back, ends, is_lost)),
            asyncio.create_task(self._return(there, writer, is_lost)),
        ]
        self._tasks.update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in ends:
            end.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, ...],
        is_lost: asyncio.Event,
    ) -> None:
        while data := await reader.read(65536):
            await self.talks.wait()
            if self._cut_at and all(word in data for word in self._cut_at):
                self._cut_at = []
                self.cuts += 1
                return
            if self._cut_after and all(word in data for word in self._cut_after):
                self._cut_after = []
                self.cuts += 1
                is_lost.set()
                back.write(data)
                # The answer, which is lost, ends this.
                await asyncio.Event().wait()
            back.write(data)
            with suppress(ConnectionError):
                await back.drain()

    async def _return(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: asyncio.Event
    ) -> None:
        while data := await there.read(65536):
            if not is_lost.is_set():
                writer.write(data)
            elif data[-6:-1] == _READY:
                return

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """Open a wire to the database; yield it and the URL that clients use."""
    parsed = make_url(url)
    wire = Wire(parsed.host or "127.0.0.1", parsed.port or 5432)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # No encryption: the wire reads the statements.
    near = parsed.set(host="127.0.0.1", port=port).update_query_dict({"sslmode": "disable"})
    try:
        yield wire, near.render_as_string(hide_password=False)
    finally:
        server.close()
        await wire.close()
