"""The production shape as a test drives it: as `Platform`, with several servers behind nginx."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tests.e2e.platform import API, ROOT, Platform
from tests.litellm_rig import RIG_HOME, RigProgram
from tests.stack.launch import ENVIRONMENT_FILE
from tests.waiting import is_ok, wait_for


class StackPlatform(Platform):
    """`python -m tests.stack` in a state folder of its own."""

    program = (sys.executable, "-m", "tests.stack")
    is_production = True

    @classmethod
    def attached(cls, data_dir: Path) -> "StackPlatform":
        """Return one that somebody else has started, and will stop."""
        running = cls(data_dir)
        url = json.loads((data_dir / "run" / "status.json").read_text())["url"]
        running.port = int(url.rpartition(":")[2])
        running.url = f"http://127.0.0.1:{running.port}"
        return running

    def told(self) -> dict[str, str]:
        """What every server process is told."""
        lines = (self.data_dir / ENVIRONMENT_FILE).read_text().splitlines()
        pairs = (line.partition("=") for line in lines)
        return {name: "".join(shlex.split(value)) for name, _, value in pairs}

    @property
    def has_spend_logs(self) -> bool:
        return "LITELLM_DATABASE_URL" in self.told()

    @property
    def servers(self) -> list[str]:
        """The names of the server processes."""
        found = (self.data_dir / "run" / "processes").glob("server-*.json")
        return sorted(file.stem for file in found)

    def port_of(self, server: str) -> int:
        return int(self.url_of(server).rpartition(":")[2])

    @property
    def server_urls(self) -> list[str]:
        """Where each server process listens, behind nginx."""
        return [f"http://127.0.0.1:{self.port_of(server)}" for server in self.servers]

    def wait_until_ready(self, seconds: float = 60) -> None:
        super().wait_until_ready(seconds)
        for url in self.server_urls:
            ready = f"{url}{API}/health/ready"
            wait_for(lambda url=ready: is_ok(url), seconds=seconds, otherwise=self.log)

    @property
    def nginx_conf(self) -> Path:
        """The configuration of `deploy/nginx`, with this stack's ports."""
        return self.data_dir / "nginx" / "chat-platform.conf"

    @property
    def reload_nginx(self) -> str:
        """The command that makes nginx read its configuration again."""
        return f"kill -HUP $(cat {self.data_dir / 'nginx' / 'nginx.pid'})"

    def serve_with(self, count: int) -> None:
        """Let nginx send everything to so many of the servers, from now on."""
        conf = self.nginx_conf.read_text().replace(" down", "")
        for server in self.servers[count:]:
            address = f"server 127.0.0.1:{self.port_of(server)}"
            conf = conf.replace(address, f"{address} down")
        workers = self._nginx_workers()
        self.nginx_conf.write_text(conf)
        subprocess.run(["sh", "-c", self.reload_nginx], check=True)
        # The old ones may live on, for connections that they have.
        wait_for(lambda: self._nginx_workers() - workers, seconds=10)

    def _nginx_workers(self) -> set[int]:
        master = psutil.Process(self.pid_of("nginx"))
        return {worker.pid for worker in master.children()}

    def address_of_proxy(self) -> str:
        return self.told()["BACKEND_BASE_URL"]

    def kill(self, part: str) -> None:
        if part == "litellm" and self.has_spend_logs:
            # What its supervisor knows is the program that looks after it.
            pid = RigProgram(RIG_HOME, ports=(0, 0, 0), environment={}).pid()
            assert pid
            os.kill(pid, signal.SIGKILL)
        else:
            super().kill(part)

    def accounts_seen_by_litellm(self) -> set[str]:
        if not self.has_spend_logs:
            return super().accounts_seen_by_litellm()
        return {row["user"] for row in self.spend_logs('select distinct "user" from logs')}

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return _asked(self.told()["DATABASE_URL"], query.replace("?", "%s"), *values)

    def spend_logs(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask LiteLLM's database, where `logs` is what it booked."""
        table = 'with logs as (select * from "LiteLLM_SpendLogs") '
        return _asked(self.told()["LITELLM_DATABASE_URL"], table + query, *values)

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.told()["DATABASE_URL"]) as connection:
            connection.execute(statement.replace("?", "%s").encode(), values)

    def _of_commands(self) -> dict[str, str]:
        return self.told()

    def _environment(self, **variables: str) -> dict[str, str]:
        # Started in its own folder, it is found here.
        return super()._environment(**{"PYTHONPATH": str(ROOT), **variables})


def _asked(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
