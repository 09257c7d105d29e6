"""Settings: read once, complete in .env.example, and strict where a mistake would be unsafe."""

import re
import stat
from pathlib import Path

import pytest

from chat_platform.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k" * 40,
    "DATABASE_URL": "postgresql://u:p@db/x",
    "LETTA_BASE_URL": "http://letta",
    "LITELLM_BASE_URL": "http://litellm",
    "LITELLM_MASTER_KEY": "sk-master",
    "BACKEND_BASE_URL": "http://server",
    "LETTA_GLOBAL_API_KEY": "sk-global",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any of our variables, and a working folder without `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_the_example_names_every_setting():
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))

    assert named == {name.upper() for name in Settings.model_fields}


def test_secrets_are_made_once_and_kept_private(environment: pytest.MonkeyPatch):
    first = load_settings()
    second = load_settings()

    assert first.secret_key == second.secret_key
    assert stat.S_IMODE(Path(".data/secrets.env").stat().st_mode) == 0o600
    assert first.secret_key.get_secret_value() not in repr(first)


def test_a_set_secret_wins_over_a_made_one(environment: pytest.MonkeyPatch):
    environment.setenv("SECRET_KEY", "mine-" + "x" * 40)

    assert load_settings().secret_key.get_secret_value().startswith("mine-")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32"),
        ({"DATABASE_URL": ""}, "DATABASE_URL must be set"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM"),
        ({"SUPABASE_URL": "http://supabase"}, "go together"),
        ({"USER_DEFAULT_BUDGET": "lots"}, "USER_DEFAULT_BUDGET"),
        ({"USER_BUDGET_DURATION": "forever"}, "USER_BUDGET_DURATION"),
        ({"TRUSTED_PROXIES": "everyone"}, "TRUSTED_PROXIES"),
    ],
)
def test_production_refuses_unsafe_settings(
    environment: pytest.MonkeyPatch, changed: dict[str, str], line: str
):
    for name, value in {**PRODUCTION, **changed}.items():
        environment.setenv(name, value)

    with pytest.raises(SettingsError, match=line) as refused:
        load_settings()

    assert len(refused.value.problems) == 1


def test_production_starts_on_whole_settings(environment: pytest.MonkeyPatch):
    for name, value in PRODUCTION.items():
        environment.setenv(name, value)

    assert load_settings().is_production
    assert not Path(".data").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_postgres_address_gets_our_driver(environment: pytest.MonkeyPatch, scheme: str):
    environment.setenv("DATABASE_URL", f"{scheme}://u:p@db/x")

    assert load_settings().database == "postgresql+psycopg://u:p@db/x"


def test_a_provider_key_replaces_the_demo_model(environment: pytest.MonkeyPatch):
    assert load_settings().is_demo

    environment.setenv("GEMINI_API_KEY", "key")

    assert not load_settings().is_demo
    assert load_settings().model_for_chat == "gemini-2.5-flash"
