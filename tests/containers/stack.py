"""docker-compose.yml, unchanged, as a test drives it: up, kill a service, look at its databases."""

import json
import shutil
from pathlib import Path
from typing import Any

import psutil

from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.stack_secrets import env_lines
from tests.containers.docker_engine import IN_ENGINE, Docker
from tests.e2e.platform import Person
from tests.waiting import is_ok, wait_for

PROJECT = "chat-platform-of-tests"
ONCE = {"databases", "migrate", "letta-migrate", "litellm-migrate"}
"""Services that run to their end before the others start."""


class Stack:
    """The compose file with a `.env` of its own, on a free port of this machine."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        self.docker = docker
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.env_file = folder / "stack.env"
        self.env_file.touch(mode=0o600)
        settings = (
            f"PORT={self.port}",
            "REGISTRATION=open",
            "REGISTRATIONS_PER_HOUR_FROM_ADDRESS=1000",
        )
        self.env_file.write_text("\n".join([*env_lines(), *settings]) + "\n")

    def set(self, **settings: str) -> None:
        """Add lines to the `.env`; what runs takes them at the next `up`."""
        with self.env_file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        files = ("--env-file", f"{IN_ENGINE}{self.env_file}", "-p", PROJECT)
        return self.docker("compose", *files, *arguments, seconds=seconds)

    def up(self, *services: str) -> None:
        """Start what does not run, and wait until all of it is healthy."""
        how = ("-d", "--wait", "--no-build", "--pull", "never")
        try:
            self.compose("up", *how, *services, seconds=600)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.logs()}") from None

    def down(self, *options: str) -> None:
        self.compose("down", *options)

    def kill(self, service: str) -> None:
        self.compose("kill", service)

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "15")[-8000:]

    def is_ready(self) -> bool:
        return is_ok(f"{self.url}/api/v1/health/ready")

    def wait_until_ready(self) -> None:
        wait_for(self.is_ready, seconds=90, otherwise=self.logs)

    def person(self, name: str) -> Person:
        return Person(self.url, name, f"{name.lower()}@example.com")

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows about every running container, by service."""
        ids = self.compose("ps", "-q").split()
        found = json.loads(self.docker("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def run_in(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command)

    def rows(self, database: str, query: str) -> list[list[str]]:
        """Ask one of the three databases, as its cluster's owner."""
        psql = ("psql", "-U", "postgres", "-At", "-F", "\t", "-d", database, "-c", query)
        return [line.split("\t") for line in self.run_in("postgres", *psql).splitlines()]


def listening_addresses() -> set[tuple[str, int]]:
    """Return every TCP address on which anything of this machine listens."""
    found = psutil.net_connections("tcp")
    return {
        (each.laddr.ip, each.laddr.port) for each in found if each.laddr and each.status == "LISTEN"
    }


def has_room() -> bool:
    """Return whether the engine's images fit on the disk."""
    return shutil.disk_usage("/var/tmp").free > 12e9
