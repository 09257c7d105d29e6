"""What `make run` does not have: Redis, nginx, and a LiteLLM with a database."""

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_platform.launcher import server
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.litellm.configuration import configuration
from chat_platform.launcher.peers import Peer, answers
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings
from tests.litellm_rig import RIG_HOME, RigProgram

_ROOT = Path(__file__).resolve().parents[2]
_SITE = _ROOT / "deploy" / "nginx" / "chat-platform.conf"
# Everything that nginx writes belongs into one folder.
_NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {home}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/chat-platform.conf;
}}
"""


def redis(places: Places, port: int) -> Peer:
    url = f"redis://127.0.0.1:{port}/0"

    async def probe() -> bool:
        client = Redis.from_url(url)
        try:
            return bool(await client.execute_command("PING"))
        except RedisError:
            return False
        finally:
            await client.aclose()

    program = Program(
        name="redis",
        argv=(
            *(_installed("redis-server"), "--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no"),
        ),
        cwd=places.data_dir,
        log=places.logs / "redis.log",
    )
    return Peer("Redis", program, url, probe, 30)


def nginx(places: Places, port: int, servers: Sequence[int]) -> Peer:
    """The configuration of `deploy/nginx`, with our ports."""
    home = places.data_dir / "nginx"
    home.mkdir(exist_ok=True)
    # Its workers run as another user when it is started as root.
    home.chmod(0o711)
    (home / "nginx.conf").write_text(_NGINX.format(home=home))
    (home / "chat-platform.conf").write_text(_site(port, servers))
    program = Program(
        name="nginx",
        argv=(_installed("nginx"), "-e", "stderr", "-p", str(home), "-c", str(home / "nginx.conf")),
        cwd=home,
        log=places.logs / "nginx.log",
        stop_signal=signal.SIGTERM,
    )
    url = f"http://127.0.0.1:{port}"
    return Peer("nginx", program, url, answers(f"{url}/api/v1/health/live"), 30)


def _site(port: int, servers: Sequence[int]) -> str:
    lines: list[str] = []
    for line in _SITE.read_text().splitlines():
        if "server 127.0.0.1:8001" in line:
            lines += [line.replace("8001", str(each)) for each in servers]
        elif "server 127.0.0.1:" not in line:
            lines.append(line.replace("listen 8000", f"listen 127.0.0.1:{port}"))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class GatewayWithDatabase:
    """LiteLLM from the rig, kept running by `tests.stack.gateway`."""

    rig: RigProgram
    places: Places

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self.rig.alone():
            try:
                yield
            finally:
                self.rig.down()

    @property
    def database_url(self) -> str:
        return f"postgresql://litellm@127.0.0.1:{self.rig.ports[1]}/litellm"

    def peer(self) -> Peer:
        url = f"http://127.0.0.1:{self.rig.ports[0]}"
        told = {"home": str(self.rig.home), "ports": self.rig.ports}
        program = Program(
            name="litellm",
            argv=(sys.executable, "-m", "tests.stack.gateway", json.dumps(told)),
            cwd=_ROOT,
            log=self.places.logs / "litellm.log",
            environment={**os.environ, **self.rig.environment},
            stop_seconds=60,
        )
        return Peer(
            "LiteLLM with its database", program, url, answers(f"{url}/health/readiness"), 480
        )


def gateway_with_database(settings: Settings, places: Places, demo_url: str) -> GatewayWithDatabase:
    file = places.data_dir / "litellm.yaml"
    models = (settings.model_for_chat, settings.model_for_embeddings)
    has_provider = bool(settings.gemini_api_key.get_secret_value())
    told = configuration(models, demo_url, has_provider=has_provider, has_database=True)
    file.write_text(json.dumps(told, indent=2))
    key = settings.litellm_master_key.get_secret_value()
    rig = RigProgram(
        RIG_HOME,
        ports=(free_port(), free_port(), free_port()),
        environment={
            "CONFIG": str(file),
            "MASTER_KEY": key,
            "LITELLM_MASTER_KEY": key,
            "GEMINI_API_KEY": settings.gemini_api_key.get_secret_value(),
            "LITELLM_LOG": "ERROR",
        },
    )
    return GatewayWithDatabase(rig, places)


def write_environment(
    settings: Settings, places: Places, file: Path, *, litellm_database_url: str
) -> None:
    """Write what the servers are told, such that a shell can read it."""
    file.touch(mode=0o600)
    told = server.handed_on(settings, places)
    if litellm_database_url:
        told["LITELLM_DATABASE_URL"] = litellm_database_url
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()))


def _installed(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        raise LaunchFailed(f"{program} is not installed.", way_out="Run `make tools` as root.")
    return found
