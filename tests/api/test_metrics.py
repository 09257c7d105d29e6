import httpx
import pytest
from pydantic import SecretStr

from chat_platform.settings import Settings


async def test_metrics_are_closed_while_no_token_is_set(client: httpx.AsyncClient):
    answer = await client.get("/metrics", headers={"Authorization": "Bearer"})

    assert answer.status_code == 404


class TestWithAToken:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"metrics_token": SecretStr("token-of-prometheus")})

    async def test_the_token_opens_them(self, client: httpx.AsyncClient):
        headers = {"Authorization": "Bearer token-of-prometheus"}

        answer = await client.get("/metrics", headers=headers)

        assert answer.status_code == 200
        assert "chat_platform_open_calls 0.0" in answer.text

    async def test_another_token_does_not(self, client: httpx.AsyncClient):
        answer = await client.get("/metrics", headers={"Authorization": "Bearer other"})

        assert answer.status_code == 404
