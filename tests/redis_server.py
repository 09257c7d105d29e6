"""The tests' own Redis, if Debian's `redis-server` is installed."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chat_platform.launcher.free_ports import free_port
from tests.listening import wait_until_listening


@dataclass
class RedisServer:
    """A server that a test may stop, freeze and start again on its port."""

    program: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self.process = subprocess.Popen(
            [self.program, *options, "--appendonly", "no"], stdout=subprocess.DEVNULL
        )
        wait_until_listening(self.port, name="redis-server")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    server = _made()
    yield server.url
    server.stop()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for this test only, which may break it."""
    server = _made()
    yield server
    server.stop()


def _made() -> RedisServer:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(program, free_port())
    server.start()
    return server
