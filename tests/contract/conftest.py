"""A real Letta, with a scripted model where our proxy would be."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from letta_client import AsyncLetta
from pydantic import SecretStr

from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime, open_letta
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId, new_id
from tests.contract.scripted_model import ScriptedModel, serve
from tests.peers import Peers


@dataclass(frozen=True)
class LettaServer:
    base_url: str
    token: str
    database_url: str

    def rows(self, query: str, *parameters: object) -> list[tuple]:
        """Ask Letta's own database."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()


@pytest.fixture(scope="session")
def letta(embedded_peers: Peers) -> LettaServer:
    return LettaServer(
        embedded_peers.letta_url, embedded_peers.letta_token, embedded_peers.letta_database_url
    )


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with serve(ScriptedModel()) as model:
        yield model


@pytest.fixture
def letta_settings(letta: LettaServer, model: ScriptedModel) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        letta_base_url=letta.base_url,
        letta_api_token=SecretStr(letta.token),
        backend_base_url=model.url,
        chat_model="scripted-chat",
        embedding_model="scripted-embedding",
    )


@pytest.fixture
async def letta_client(letta_settings: Settings) -> AsyncIterator[AsyncLetta]:
    async with open_letta(letta_settings) as client:
        yield client


@pytest.fixture
def agents(letta_client: AsyncLetta, letta_settings: Settings) -> LettaRuntime:
    return LettaRuntime(letta_client, letta_settings)


@pytest.fixture
def memories(letta_client: AsyncLetta) -> LettaMemory:
    return LettaMemory(letta_client)


@pytest.fixture
def alice_id() -> AccountId:
    return AccountId(new_id())


@pytest.fixture
def bob_id() -> AccountId:
    return AccountId(new_id())
