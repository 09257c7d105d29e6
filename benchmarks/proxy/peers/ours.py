"""Our proxy on SQLite and on Postgres, with auth, budget checks and the durable ledger on."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.proxy.ours import KEY
from benchmarks.proxy.peers.peer import Durable, Peer
from benchmarks.proxy.peers.processes import ROOT, free_port, running
from chat_platform.launcher.postgres import throwaway_postgres

# As Letta's client marks a first attempt: the same body would otherwise count as a retry.
_HEADERS = {"authorization": f"Bearer {KEY}", "x-stainless-retry-count": "0"}
_SERVED = "benchmarks.proxy.ours:app"


_FILL = (
    "import asyncio, sys; from benchmarks.proxy.ours import fill;"
    " asyncio.run(fill(sys.argv[1], accounts=int(sys.argv[2]), calls=int(sys.argv[3])))"
)


@dataclass(frozen=True)
class Checkout:
    """A folder with a commit of ours and its `.venv`."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / ".venv" / "bin" / "python")

    @property
    def server(self) -> "Server":
        """How that commit is served for the agent server; before the own port it was granian."""
        launcher = self.folder / "chat_platform" / "launcher" / "embedded.py"
        return own_listener if "proxy_port" in launcher.read_text() else granian

    def fill(self, url: str, *, accounts: int, calls: int) -> None:
        command = [self.python, "-c", _FILL, url, str(accounts), str(calls)]
        subprocess.run(command, cwd=self.folder, check=True)


THIS = Checkout(ROOT)


@dataclass(frozen=True)
class _Ledger:
    url: str
    durable: Durable
    process: psutil.Process | None = None


def own_listener(port: int) -> list[str]:
    """The proxy's own port, to which `make run` sends the agent server."""
    return ["benchmarks.proxy.ours", str(port)]


def granian(port: int) -> list[str]:
    """The main port."""
    command = ["granian", "--interface", "asgi", "--factory", _SERVED, "--host", "127.0.0.1"]
    return [*command, "--port", str(port), "--workers", "1", "--log-level", "error"]


Server = Callable[[int], list[str]]


@contextmanager
def ours_on_sqlite(model_port: int) -> Iterator[Peer]:
    with sized_ledger("ours (SQLite)", model_port) as peer:
        yield peer


@contextmanager
def ours_on_main_port(model_port: int) -> Iterator[Peer]:
    with sized_ledger("ours (SQLite, main port)", model_port, server=granian) as peer:
        yield peer


@contextmanager
def ours_on_postgres(model_port: int) -> Iterator[Peer]:
    with _postgres() as ledger, _served("ours (Postgres)", ledger, model_port) as peer:
        yield peer


@contextmanager
def ours_twice_on_postgres(model_port: int) -> Iterator[Peer]:
    """Two processes on one database; connections take them in turns."""
    name = "ours (Postgres, 2 processes)"
    with _postgres() as ledger, _served(name, ledger, model_port, processes=2) as peer:
        yield peer


def before(folder: Path) -> list[Callable[[int], AbstractContextManager[Peer]]]:
    """Return what measures another commit of ours, in a folder of its own."""
    checkout = Checkout(folder.resolve())

    @contextmanager
    def before_on_sqlite(model_port: int) -> Iterator[Peer]:
        server = checkout.server
        with sized_ledger("before (SQLite)", model_port, server=server, checkout=checkout) as peer:
            yield peer

    @contextmanager
    def before_on_postgres(model_port: int) -> Iterator[Peer]:
        with (
            _postgres(checkout) as ledger,
            _served(
                "before (Postgres)",
                ledger,
                model_port,
                server=checkout.server,
                checkout=checkout,
            ) as peer,
        ):
            yield peer

    return [before_on_sqlite, before_on_postgres]


@contextmanager
def sized_ledger(
    name: str,
    model_port: int,
    *,
    accounts: int = 10,
    calls: int = 10,
    server: Server = own_listener,
    checkout: Checkout = THIS,
) -> Iterator[Peer]:
    """Ours on SQLite, with this many accounts and rows in the ledger."""
    with tempfile.TemporaryDirectory() as home:
        url = f"sqlite+aiosqlite:///{home}/platform.db"
        checkout.fill(url, accounts=accounts, calls=calls)
        ledger = _Ledger(url, "written to the OS")
        with _served(name, ledger, model_port, server=server, checkout=checkout) as peer:
            yield peer


@contextmanager
def _postgres(checkout: Checkout = THIS) -> Iterator[_Ledger]:
    """A Postgres that waits for the disk, as in production."""
    with ExitStack() as stack:
        home = tempfile.mkdtemp(prefix="chat-platform-bench-")
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        server = stack.enter_context(throwaway_postgres(Path(home), is_durable=True))
        url = server.url().replace("postgresql://", "postgresql+psycopg://", 1)
        checkout.fill(url, accounts=0, calls=10)
        number = (server.cluster / "postmaster.pid").read_text().split()[0]
        yield _Ledger(url, "fsynced", psutil.Process(int(number)))


@contextmanager
def _served(
    name: str,
    ledger: _Ledger,
    model_port: int,
    *,
    server: Server = own_listener,
    processes: int = 1,
    checkout: Checkout = THIS,
) -> Iterator[Peer]:
    environment = {
        "DATABASE_URL": ledger.url,
        "LITELLM_BASE_URL": f"http://127.0.0.1:{model_port}",
    }
    ports = [free_port() for _ in range(processes)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                running(
                    [checkout.python, "-m", *server(port)],
                    port,
                    environment,
                    folder=checkout.folder,
                )
            )
            for port in ports
        ]
        yield Peer(
            name,
            tuple(
                f"http://127.0.0.1:{port}/api/v1/llm-proxy/agent-{{n}}/chat/completions"
                for port in ports
            ),
            tuple(started),
            ledger.durable,
            _HEADERS,
            database=ledger.process,
        )
