"""A small reverse proxy that serves a server under a path of its host, beside others."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_NOT_OURS = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class PathProxy:
    """Passes on requests under `path` unchanged; `strays` are those that went elsewhere."""

    path: str
    upstream_port: int
    port: int = 0
    strays: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close the connection; websockets close when they end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            if target.partition("?")[0] == self.path or target.startswith(f"{self.path}/"):
                await self._pass_on(head, reader, writer)
            else:
                self.strays.append(target)
                writer.write(_NOT_OURS)
        writer.close()

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        server_reads, to_server = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        to_server.write(_closing(head))
        sending = asyncio.create_task(_pump(reader, to_server))
        await _pump(server_reads, writer)
        sending.cancel()
        to_server.close()


def _closing(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    if any(line.lower().startswith(b"upgrade:") for line in lines):
        return head
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([kept[0], b"Connection: close", *kept[1:]])


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(65536):
            target.write(piece)
            await target.drain()


@contextmanager
def path_proxy(path: str, upstream_port: int) -> Iterator[PathProxy]:
    proxy, loop = PathProxy(path, upstream_port), asyncio.new_event_loop()
    # Playwright's own loop runs in this thread.
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        starting = asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
