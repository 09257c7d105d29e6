"""The embedded Letta's environment: nothing lets it reach a model past the proxy."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.places import Places
from chat_platform.launcher.postgres import Postgres
from chat_platform.settings import Settings


@pytest.fixture
def environment(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_BASE_URL", "GEMINI_API_KEY", "ANTHROPIC_API_KEY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "of-somebody-else")
    settings = settings.model_copy(
        update={
            "letta_api_token": SecretStr("letta-password"),
            "letta_encryption_key": SecretStr("letta-encryption"),
        }
    )
    places = Places(tmp_path, tmp_path / "env")
    database = Postgres(tmp_path, tmp_path, 5432, "secret", None, {})
    return letta.peer(settings, places, database, 21000).program.environment


def test_its_own_way_to_a_model_is_a_closed_port(environment, settings: Settings):
    assert environment["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
    assert environment["OPENAI_API_KEY"] == settings.letta_global_api_key.get_secret_value()


def test_nothing_of_the_operators_environment_reaches_it(environment):
    assert "of-somebody-else" not in environment.values()


def test_it_asks_for_its_password_and_listens_here_only(environment):
    assert environment["LETTA_SERVER_SECURE"] == "true"
    assert environment["LETTA_SERVER_PASSWORD"] == "letta-password"
    assert environment["LETTA_HOST"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", {}),
        ("redis://cache:6380/0", {"LETTA_REDIS_HOST": "cache", "LETTA_REDIS_PORT": "6380"}),
        ("redis://cache", {"LETTA_REDIS_HOST": "cache", "LETTA_REDIS_PORT": "6379"}),
        ("redis://:secret@cache:6379", {}),
    ],
)
def test_it_keeps_runs_in_a_redis_that_needs_no_password(
    settings: Settings, tmp_path: Path, url: str, told: dict[str, str]
):
    settings = settings.model_copy(update={"redis_url": SecretStr(url)})
    places = Places(tmp_path, tmp_path / "env")
    database = Postgres(tmp_path, tmp_path, 5432, "secret", None, {})

    environment = letta.peer(settings, places, database, 21000).program.environment

    assert {k: v for k, v in environment.items() if k.startswith("LETTA_REDIS")} == told
