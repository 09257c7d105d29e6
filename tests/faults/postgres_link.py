"""A relay between one process and Postgres that cuts, loses, withholds and refuses."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from sqlalchemy.engine import make_url

_DISK_FULL = b"C53100\0"
"""The error field with this code."""


@dataclass
class PostgresLink:
    """Relays one process's connections to Postgres."""

    target: str
    url: str = ""
    met: list[str] = field(default_factory=list)
    has_clock = True

    def __post_init__(self) -> None:
        self._ends: set[asyncio.StreamWriter] = set()
        self._due: dict[str, int] = {}
        self._told_bytes = 0
        self._is_away = self._is_dead = False
        self._is_heard, self._is_speaking = asyncio.Event(), asyncio.Event()
        self.speak()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        near = make_url(self.target).set(host="127.0.0.1", port=port)
        # No encryption: otherwise messages could not be counted.
        near = near.update_query_dict({"sslmode": "disable"})
        self.url = near.render_as_string(hide_password=False)

    def cut(self, after: int) -> None:
        self._due["cut"] = after

    def lose_answer(self, after: int, *, told_bytes: int = 0) -> None:
        self._told_bytes = told_bytes
        self._due["answer_cut" if told_bytes else "answer_lost"] = after

    def refuse(self, is_away: bool) -> None:
        self._is_away = is_away
        if is_away:
            self.met.append("database_away")
            self._abort_all()

    def fall_silent(self, *, is_heard: bool) -> None:
        self.met.append("answers_silent" if is_heard else "database_silent")
        self._is_speaking.clear()
        if not is_heard:
            self._is_heard.clear()

    def speak(self) -> None:
        self._is_heard.set()
        self._is_speaking.set()

    def fill_disk(self, is_full: bool) -> None:
        change = "insert into full_disk values (true)" if is_full else "delete from full_disk"
        plain = make_url(self.target).set(drivername="postgresql")
        url = plain.render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(change)

    def cut_for_ever(self) -> None:
        self._is_dead = True
        self._abort_all()

    async def close(self) -> None:
        self.cut_for_ever()
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away or self._is_dead:
            writer.transport.abort()
            return
        far = make_url(self.target)
        there, back = await asyncio.open_connection(far.host, far.port)
        self._ends |= {writer, back}
        with suppress(ConnectionError):
            returning = asyncio.ensure_future(self._return(there, writer))
            await self._forward(reader, there, back, writer, returning)
            returning.cancel()
        for end in (writer, back):
            end.transport.abort()
            self._ends.discard(end)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        returning: asyncio.Future[None],
    ) -> None:
        while data := await reader.read(65536):
            await self._is_heard.wait()
            if self._is_due("cut"):
                return
            is_lost, is_cut = self._is_due("answer_lost"), self._is_due("answer_cut")
            if is_lost or is_cut:
                returning.cancel()
                await asyncio.wait([returning])
            back.write(data)
            if is_cut:
                await _tell(there, writer, self._told_bytes)
                return
            if is_lost:
                # When Postgres answers, it has executed the statement.
                await there.read(1)
                return

    async def _return(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await there.read(65536):
                await self._is_speaking.wait()
                if _DISK_FULL in data:
                    self.met.append("disk_full")
                writer.write(data)
            writer.transport.abort()

    def _is_due(self, trouble: str) -> bool:
        left = self._due.get(trouble)
        if left is None:
            return False
        self._due[trouble] = left - 1
        if left > 0:
            return False
        del self._due[trouble]
        self.met.append(trouble)
        return True

    def _abort_all(self) -> None:
        for end in list(self._ends):
            end.transport.abort()


async def _tell(there: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_: int) -> None:
    """Pass on this many bytes of the answer, or as many as it has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            while bytes_ > 0 and (data := await there.read(bytes_)):
                writer.write(data)
                bytes_ -= len(data)
    # Send what has been written before the connection is cut.
    with suppress(ConnectionError):
        await writer.drain()
