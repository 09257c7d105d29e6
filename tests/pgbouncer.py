"""PgBouncer in front of Postgres, like Supabase's pooler: Debian's package, if installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import pytest

from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.postgres import Postgres
from tests.listening import wait_until_listening

Mode = Literal["transaction", "session"]
# Few server connections, so that clients have to share them.
SERVER_CONNECTIONS = 4
_CONFIG = """
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {server_connections}
max_client_conn = 500
query_wait_timeout = 10
"""


@dataclass(frozen=True)
class PgBouncer:
    mode: Mode
    port: int
    users: Path

    def before(self, url: str) -> str:
        """Return the database's address through the pooler."""
        parts = urlsplit(url)
        who, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{who}@{host.rpartition(':')[0]}:{self.port}"))


@contextmanager
def pooling(server: Postgres, mode: Mode, **more_users: str) -> Iterator[PgBouncer]:
    """Run a pooler in front of the server; `more_users` are roles with their passwords."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-pgbouncer-"))
    owner = urlsplit(server.url())
    users = {str(owner.username): str(owner.password), **more_users}
    bouncer = PgBouncer(mode, free_port(), folder / "users.txt")
    bouncer.users.write_text("".join(f'"{name}" "{word}"\n' for name, word in users.items()))
    (folder / "config.ini").write_text(
        _CONFIG.format(
            server_port=server.port,
            port=bouncer.port,
            users=bouncer.users,
            mode=mode,
            server_connections=SERVER_CONNECTIONS,
        )
    )
    command = [program, "-q", str(folder / "config.ini")]
    if os.geteuid() == 0:
        # It refuses to run as root.
        folder.chmod(0o755)
        command[1:1] = ["-u", "nobody"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(bouncer.port, name="pgbouncer")
        yield bouncer
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def transaction_pooler(postgres_server: Postgres) -> Iterator[PgBouncer]:
    with pooling(postgres_server, "transaction") as bouncer:
        yield bouncer
