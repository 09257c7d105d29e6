"""Starts what is measured, each as a process of its own on a free port, and stops it again."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.proxy.ours import KEY, fill
from chat_platform.launcher.postgres import throwaway_postgres

ROOT = Path(__file__).resolve().parents[2]
RIG = ROOT.parent / "shared" / "rigs" / "litellm" / "up.sh"
STATE = ROOT / ".data" / "bench"
PORTKEY = "@portkey-ai/gateway"
PORTKEY_VERSION = "1.15.2"
PORTKEY_STREAMS = Path(__file__).with_name("portkey_streams.mjs")
LITELLM_KEY = "sk-master-of-the-benchmark-01234"

_NGINX = """
worker_processes 1; daemon off; pid {home}/pid; error_log /dev/null;
events {{ worker_connections 2048; }}
http {{ access_log off; client_body_temp_path {home}/b; proxy_temp_path {home}/p;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 256; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://model; proxy_buffering off;
    proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
"""
_LITELLM = """
model_list:
  - model_name: demo-chat
    litellm_params:
      {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{upstream}/v1", api_key: x}}
general_settings: {{master_key: sk-master-1234}}
"""


class Missing(Exception):
    """This peer can't be had here; the message says why."""


@dataclass(frozen=True)
class Peer:
    name: str
    url: str
    process: psutil.Process | None
    headers: dict[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("plain", "stream")

    def cpu_seconds(self) -> float:
        return sum(sum(p.cpu_times()[:2]) for p in self._family())

    def memory_mb(self) -> int:
        return round(sum(p.memory_info().rss for p in self._family()) / 1e6)

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)] if self.process else []


@contextmanager
def upstream() -> Iterator[int]:
    port = free_port()
    with _process([sys.executable, "-m", "benchmarks.proxy.upstream", str(port)], port):
        yield port


@contextmanager
def direct(model_port: int) -> Iterator[Peer]:
    yield Peer("direct", f"http://127.0.0.1:{model_port}/v1/chat/completions", None)


@contextmanager
def nginx(model_port: int) -> Iterator[Peer]:
    command = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if command is None:
        raise Missing("nginx is not installed (Debian: nginx-light)")
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "nginx.conf"
        config.write_text(_NGINX.format(home=home, port=port, upstream=model_port))
        with _process([command, "-c", str(config), "-p", home], port) as process:
            yield Peer("nginx", f"http://127.0.0.1:{port}/v1/chat/completions", process)


@contextmanager
def ours_on_sqlite(model_port: int) -> Iterator[Peer]:
    with sized_ledger("ours (SQLite)", model_port) as peer:
        yield peer


@contextmanager
def ours_on_uvicorn(model_port: int) -> Iterator[Peer]:
    with sized_ledger("ours (SQLite, uvicorn)", model_port, server=_uvicorn) as peer:
        yield peer


@contextmanager
def ours_on_postgres(model_port: int) -> Iterator[Peer]:
    """With a Postgres that waits for its disk, as in production."""
    with ExitStack() as stack:
        home = tempfile.mkdtemp(prefix="chat-platform-bench-")
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        server = stack.enter_context(throwaway_postgres(Path(home), is_durable=True))
        url = server.url().replace("postgresql://", "postgresql+psycopg://", 1)
        asyncio.run(fill(url, accounts=0, calls=10))
        yield stack.enter_context(_ours("ours (Postgres)", url, model_port, _granian))


@contextmanager
def sized_ledger(
    name: str,
    model_port: int,
    *,
    accounts: int = 10,
    calls: int = 10,
    server: "Callable[[int], list[str]] | None" = None,
) -> Iterator[Peer]:
    """Ours on SQLite, with so many accounts and rows in the ledger."""
    with tempfile.TemporaryDirectory() as home:
        url = f"sqlite+aiosqlite:///{home}/platform.db"
        asyncio.run(fill(url, accounts=accounts, calls=calls))
        with _ours(name, url, model_port, server or _granian) as peer:
            yield peer


@contextmanager
def _ours(
    name: str, database_url: str, model_port: int, server: Callable[[int], list[str]]
) -> Iterator[Peer]:
    port = free_port()
    environment = {
        "DATABASE_URL": database_url,
        "LITELLM_BASE_URL": f"http://127.0.0.1:{model_port}",
    }
    with _process([sys.executable, "-m", *server(port)], port, environment) as process:
        url = f"http://127.0.0.1:{port}/api/v1/llm-proxy/agent-{{n}}/chat/completions"
        yield Peer(name, url, process, {"authorization": f"Bearer {KEY}"})


def _granian(port: int) -> list[str]:
    command = ["granian", "--interface", "asgi", "--factory", "benchmarks.proxy.ours:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [*command, "--log-level", "error"]


def _uvicorn(port: int) -> list[str]:
    command = ["uvicorn", "--factory", "benchmarks.proxy.ours:app", "--port", str(port)]
    return [*command, "--log-level", "critical", "--no-access-log"]


@contextmanager
def litellm(model_port: int) -> Iterator[Peer]:
    if not RIG.exists():
        raise Missing("the LiteLLM rig is not beside the project")
    port, unused_postgres, unused_upstream = free_port(), free_port(), free_port()
    STATE.mkdir(parents=True, exist_ok=True)
    config = STATE / "litellm.yaml"
    config.write_text(_LITELLM.format(upstream=model_port))
    home = STATE / "litellm"
    environment = os.environ | {
        "NODB": "1",
        "RIG_HOME": str(home),
        "CONFIG": str(config),
        "MASTER_KEY": LITELLM_KEY,
        "LITELLM_LOG": "ERROR",
        "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
    }
    started = subprocess.run(
        [RIG, str(port), str(unused_postgres), str(unused_upstream)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        if started.returncode:
            raise Missing(f"LiteLLM does not start: {started.stdout[-200:]}")
        process = psutil.Process(int((home / "litellm" / "run" / "litellm.pid").read_text()))
        headers = {"authorization": f"Bearer {LITELLM_KEY}"}
        yield Peer("LiteLLM", f"http://127.0.0.1:{port}/v1/chat/completions", process, headers)
    finally:
        subprocess.run([RIG, "down"], env=environment, capture_output=True, check=False)


@contextmanager
def portkey(model_port: int) -> Iterator[Peer]:
    """Portkey's gateway as it is published; for its streams see `portkey_streams`."""
    with _portkey(model_port, ("plain",)) as peer:
        yield peer


@contextmanager
def portkey_streams(model_port: int) -> Iterator[Peer]:
    """As published it answers streams with 500: the preloaded file says why, and mends it."""
    with _portkey(model_port, ("stream",), "--import", str(PORTKEY_STREAMS)) as peer:
        yield peer


@contextmanager
def _portkey(model_port: int, kinds: tuple[str, ...], *options: str) -> Iterator[Peer]:
    start = _installed_portkey()
    port = free_port()
    command = ["node", *options, str(start), "--headless", f"--port={port}"]
    with _process(command, port) as process:
        headers = {
            "authorization": "Bearer x",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{model_port}/v1",
        }
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        yield Peer("Portkey", url, process, headers, kinds)


def _installed_portkey() -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed")
    home = STATE / "portkey"
    start = home / "node_modules" / PORTKEY / "build" / "start-server.js"
    if not start.exists():
        home.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(home)]
        subprocess.run([*command, f"{PORTKEY}@{PORTKEY_VERSION}"], check=False, capture_output=True)
    if not start.exists():
        raise Missing("npm did not install Portkey's gateway")
    return start


ALL: list[Callable[[int], AbstractContextManager[Peer]]] = [
    direct,
    nginx,
    ours_on_sqlite,
    ours_on_uvicorn,
    ours_on_postgres,
    portkey,
    portkey_streams,
    litellm,
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def _process(
    command: list[str], port: int, environment: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(process, port)
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise Missing(f"{process.args} ended at its start")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Missing(f"{process.args} does not listen")
