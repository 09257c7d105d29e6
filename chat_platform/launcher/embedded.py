"""Installs and starts the peers that the settings do not name: Letta, LiteLLM, the demo model."""

import asyncio
from dataclasses import dataclass

from chat_platform.launcher import demo, postgres, unprivileged
from chat_platform.launcher.free_ports import free_port, kept_port
from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.litellm import peer as litellm
from chat_platform.launcher.peers import Peer
from chat_platform.launcher.places import Places
from chat_platform.launcher.steps import Steps
from chat_platform.launcher.supervisor import Supervisor
from chat_platform.settings import Settings


@dataclass(frozen=True)
class EmbeddedPeers:
    """The parts of the chain that we start, under one supervisor."""

    settings: Settings
    places: Places
    steps: Steps
    supervisor: Supervisor

    async def install(self) -> None:
        """Create the missing environments. Raises LaunchFailed."""
        async with asyncio.TaskGroup() as group:
            if not self.settings.letta_base_url:
                group.create_task(self._install_letta())
            if not self.settings.litellm_base_url:
                group.create_task(self._install_litellm())

    async def start(self) -> Settings:
        """Start them concurrently and return the settings with their addresses."""
        found: dict[str, object] = {}
        async with asyncio.TaskGroup() as group:
            if not self.settings.letta_base_url:
                group.create_task(self._start_letta(found))
            if not self.settings.litellm_base_url:
                group.create_task(self._start_litellm(found))
        return self.settings.model_copy(update=found)

    async def _install_letta(self) -> None:
        if not letta.is_installed(self.places):
            with self.steps.step("Install Letta", hint="once, a minute or two"):
                await letta.install(self.places)

    async def _install_litellm(self) -> None:
        if not litellm.ENVIRONMENT.is_made(self.places):
            with self.steps.step("Install LiteLLM", hint="once, about a minute"):
                await litellm.install(self.places)

    async def _start_letta(self, found: dict[str, object]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._install_letta())
            started = group.create_task(self._start_postgres())
        database = started.result()
        with self.steps.step("Bring Letta's database up to date"):
            await letta.migrate(self.settings, self.places, database)
        peer = letta.peer(self.settings, self.places, database, free_port())
        await self._start(peer)
        found["letta_base_url"] = peer.url
        if not self.settings.proxy_port and not self.settings.backend_base_url:
            found["proxy_port"] = kept_port(self.places.proxy_port)

    async def _start_postgres(self) -> postgres.Postgres:
        with self.steps.step("Start Postgres"):
            folder = unprivileged.choose_folder(self.places.data_dir, unprivileged.choose_user())
            password = self.settings.letta_database_password.get_secret_value()
            database = await asyncio.to_thread(
                postgres.prepare, folder, password=password, port=free_port()
            )
            await self.supervisor.start(postgres.peer(database, self.places.logs / "postgres.log"))
        return database

    async def _start_litellm(self, found: dict[str, object]) -> None:
        await self._install_litellm()
        demo_peer = demo.peer(self.settings, self.places, free_port())
        peer = litellm.peer(self.settings, self.places, free_port(), demo_peer.url)
        if litellm.needs_demo_model(self.settings):
            await self._start(demo_peer)
        await self._start(peer)
        found |= {
            "litellm_base_url": peer.url,
            "litellm_has_database": False,
        }

    async def _start(self, peer: Peer) -> None:
        with self.steps.step(f"Start {peer.title}"):
            await self.supervisor.start(peer)
