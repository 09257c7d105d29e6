"""Puts the production shape together: nginx before N servers, Redis, Postgres, Letta, LiteLLM."""

import asyncio
import secrets
from contextlib import ExitStack
from dataclasses import replace

from pydantic import SecretStr

from chat_platform.launcher import demo, postgres, server, unprivileged
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.launch import Launch
from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.litellm import peer as litellm
from chat_platform.launcher.peers import Peer
from chat_platform.launcher.places import Places
from chat_platform.launcher.up import check_port, migrate_database
from chat_platform.settings import Settings
from tests.litellm_rig import why_not
from tests.stack import parts

DATABASE = "platform"
ENVIRONMENT_FILE = "stack.env"
"""In DATA_DIR: what a server process is told, for the operator's commands."""


class Stack:
    """Everything that `make stack` starts."""

    def __init__(
        self, settings: Settings, places: Places, *, servers: int, may_use_rig: bool
    ) -> None:
        self._given = settings
        self._places = places
        self._ports = [free_port() for _ in range(servers)]
        self._rig = may_use_rig and not why_not()
        self._url = f"http://localhost:{settings.port}"
        self._launch = Launch(places, url=self._url)
        self._litellm_database_url = ""
        self._until_the_end = ExitStack()

    async def run(self) -> None:
        with self._until_the_end:
            await self._launch.run(self._start)

    async def _start(self) -> str:
        check_port(self._given)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.ensure_pages(self._places, self._launch.steps))
            gateway = group.create_task(self._start_gateway())
            agents = group.create_task(self._start_agents())
        settings = agents.result().model_copy(update=gateway.result())
        await self._start_servers(settings)
        return f"\nThe stack is ready: open {self._url}  (Ctrl-C stops it)"

    async def _start_agents(self) -> Settings:
        """Start Postgres, Redis and Letta; return the settings with which they are reached."""
        redis = parts.redis(self._places, free_port())
        async with asyncio.TaskGroup() as group:
            started = group.create_task(self._start_postgres())
            group.create_task(self._start_peer(redis))
        database = started.result()
        settings = self._settings(database, redis.url)
        with self._launch.steps.step("Bring the databases up to date"):
            await migrate_database(settings)
            await letta.migrate(settings, self._places, database)
        agents = letta.peer(settings, self._places, database, free_port())
        await self._start_peer(agents)
        return settings.model_copy(update={"letta_base_url": agents.url})

    async def _start_servers(self, settings: Settings) -> None:
        parts.write_environment(
            settings,
            self._places,
            self._places.data_dir / ENVIRONMENT_FILE,
            litellm_database_url=self._litellm_database_url,
        )
        async with asyncio.TaskGroup() as group:
            for number, port in enumerate(self._ports, start=1):
                group.create_task(self._start_peer(self._server(settings, number, port)))
        await self._start_peer(parts.nginx(self._places, self._given.port, self._ports))

    def _server(self, settings: Settings, number: int, port: int) -> Peer:
        own = server.peer(settings.model_copy(update={"port": port}), self._places)
        name = f"server-{number}"
        program = replace(own.program, name=name, log=self._places.logs / f"{name}.log")
        return replace(own, title=f"Server {number}", program=program)

    def _settings(self, database: postgres.Postgres, redis_url: str) -> Settings:
        port, hosts = self._given.port, ("localhost", "127.0.0.1")
        return self._given.model_copy(
            update={
                "environment": "production",
                "database_url": SecretStr(database.url(DATABASE)),
                "redis_url": SecretStr(redis_url),
                "backend_base_url": f"http://127.0.0.1:{port}",
                "allowed_origins": " ".join(f"http://{host}:{port}" for host in hosts),
                "trusted_proxies": "127.0.0.1/32",
                "registration": self._given.registration or "open",
                "metrics_token": self._given.metrics_token or SecretStr(secrets.token_hex(16)),
                # Everybody comes from this machine.
                "registrations_per_hour": 1_000_000,
                "registrations_per_hour_from_address": 1_000_000,
            }
        )

    async def _start_postgres(self) -> postgres.Postgres:
        with self._launch.steps.step("Start Postgres"):
            folder = unprivileged.choose_folder(self._places.data_dir, unprivileged.choose_user())
            password = self._given.letta_database_password.get_secret_value()
            database = await asyncio.to_thread(
                postgres.prepare,
                folder,
                password=password,
                port=free_port(),
                options={"max_connections": str(60 + 20 * len(self._ports))},
            )
            log = self._places.logs / "postgres.log"
            await self._launch.supervisor.start(postgres.peer(database, log))
            await asyncio.to_thread(postgres.ensure_database, database, DATABASE)
        return database

    async def _start_gateway(self) -> dict[str, object]:
        """Start the demo model and LiteLLM; return the settings with which it is reached."""
        model = demo.peer(self._given, self._places, free_port())
        await self._start_peer(model)
        if self._rig:
            gateway = parts.gateway_with_database(self._given, self._places, model.url)
            await asyncio.to_thread(self._until_the_end.enter_context, gateway.alone())
            self._litellm_database_url = gateway.database_url
            peer = gateway.peer()
        else:
            peer = litellm.peer(self._given, self._places, free_port(), model.url)
        await self._start_peer(peer)
        return {"litellm_base_url": peer.url, "litellm_has_database": self._rig}

    async def _start_peer(self, peer: Peer) -> None:
        with self._launch.steps.step(f"Start {peer.title}"):
            await self._launch.supervisor.start(peer)
