"""Starts a program on a free port, waits until it listens, and stops it again."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.proxy.peers.peer import Missing

ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS = 90


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def chat_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1/chat/completions"


@contextmanager
def running(
    command: list[str],
    port: int,
    environment: dict[str, str] | None = None,
    *,
    folder: Path = ROOT,
) -> Iterator[psutil.Process]:
    """Yield the process once it listens on the port. Raises Missing with its last output.

    It runs in the folder, and imports from there.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **(environment or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _listens(process, port):
                output.seek(0)
                last = output.read().decode(errors="replace").strip()[-300:]
                raise Missing(f"{Path(command[0]).name} does not start: {last}")
            yield psutil.Process(process.pid)
        finally:
            _stop(process)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except ProcessLookupError:
        process.wait()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
