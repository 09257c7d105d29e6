"""A real Letta, with a scripted model where our proxy would be."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from letta_client import AsyncLetta
from pydantic import SecretStr

from chat_platform.ids import AccountId, new_id
from chat_platform.letta_agents import LettaRuntime, open_letta
from chat_platform.letta_memory import LettaMemory
from chat_platform.settings import Settings
from tests.contract.scripted_model import ScriptedModel, serve


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
def letta() -> LettaServer:
    if "TEST_LETTA_URL" not in os.environ:
        pytest.skip("no Letta")
    return LettaServer(
        os.environ["TEST_LETTA_URL"], "letta-secret", os.environ["TEST_LETTA_DATABASE"]
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
async def client(letta_settings: Settings) -> AsyncIterator[AsyncLetta]:
    async with open_letta(letta_settings) as client:
        yield client


@pytest.fixture
def agents(client: AsyncLetta, letta_settings: Settings) -> LettaRuntime:
    return LettaRuntime(client, letta_settings)


@pytest.fixture
def memories(client: AsyncLetta) -> LettaMemory:
    return LettaMemory(client)


@pytest.fixture
def alice() -> AccountId:
    return AccountId(new_id())


@pytest.fixture
def bob() -> AccountId:
    return AccountId(new_id())
