"""Settings: read once, complete in .env.example, and strict where a mistake would be unsafe."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from chat_platform.adapters.letta.config import AgentPlan
from chat_platform.settings import (
    NEEDED_IN_PRODUCTION,
    Settings,
    SettingsError,
    load_settings,
)
from chat_platform.values.ids import AgentId
from tests.environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "uK3vQ8xZ1mB7rT5nY2wC9pL4sD6fG0hJ",
    "DATABASE_URL": "postgresql://u:p@db/x",
    "LETTA_BASE_URL": "http://letta",
    "LITELLM_BASE_URL": "http://litellm",
    "LITELLM_MASTER_KEY": "sk-Zr8kQm2vXw5tLp9nBq",
    "BACKEND_BASE_URL": "http://server",
    "LETTA_GLOBAL_API_KEY": "sk-Hd4jYb7cRf1sWk6gVx",
    "LETTA_API_TOKEN": "sk-Tn3xCv8mQz5pJw2dFs",
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


IS_PLACEHOLDER = "SECRET_KEY is a placeholder: generate a random one with `openssl rand -base64 48`"
NO_ORIGIN = "is not an origin; write each as https://chat.example.com"
NOT_JUST_PROXIES = "covers more than your proxies: anyone in it could claim any address"
GIVEN_BY_OTHERS = {
    "gemini_api_key",
    "supabase_anon_key",
    "supabase_service_key",
    "supabase_jwt_secret",
    "otel_exporter_otlp_headers",
}
ADDRESSES = {"database_url", "redis_url", "smtp_url"}
OF_EMBEDDED_PEERS = {"letta_encryption_key", "letta_database_password"}
ONLY_READS_WHAT_IS_OLD = {"secret_key_previous"}
OURS = sorted(
    name.upper()
    for name, field in Settings.model_fields.items()
    if field.annotation is SecretStr
    and name not in GIVEN_BY_OTHERS | ADDRESSES | OF_EMBEDDED_PEERS | ONLY_READS_WHAT_IS_OLD
)
"""Every secret that grants access and that the operator chooses."""
SUPABASE = {
    "SUPABASE_URL": "http://supabase",
    "SUPABASE_ANON_KEY": "sb_publishable_1",
    "SUPABASE_SERVICE_KEY": "sb_secret_1",
}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY must be set, to at least 32 random characters"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32 random characters"),
        ({"SECRET_KEY": "your-secret-key-change-in-production"}, IS_PLACEHOLDER),
        ({"SECRET_KEY": "changeme" * 4}, IS_PLACEHOLDER),
        ({"SECRET_KEY": "0" * 64}, IS_PLACEHOLDER),
        *(
            ({name: ""}, f"{name} must be set when ENVIRONMENT=production")
            for name in NEEDED_IN_PRODUCTION
        ),
        *(
            ({"JWT_ALGORITHM": name}, "JWT_ALGORITHM: Input should be 'HS256', 'HS384' or 'HS512'")
            for name in ("none", "RS256", "hs256", "HS128")
        ),
        *(
            (
                SUPABASE | {missing: ""},
                "SUPABASE_URL, SUPABASE_ANON_KEY and SUPABASE_SERVICE_KEY go together:"
                " set all or none",
            )
            for missing in SUPABASE
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: must be"),
        ({"JWT_EXPIRE_MINUTES": "0"}, "JWT_EXPIRE_MINUTES: Input should be greater than"),
        ({"PORT": "eighty"}, "PORT: Input should be a valid integer"),
        ({"USER_DEFAULT_BUDGET": "lots"}, "USER_DEFAULT_BUDGET"),
        ({"USER_DEFAULT_BUDGET": "-1"}, "USER_DEFAULT_BUDGET: must not be negative"),
        ({"PLATFORM_BUDGET": "lots"}, "PLATFORM_BUDGET: not an amount of money"),
        ({"PLATFORM_DAILY_BUDGET": "-0.01"}, "PLATFORM_DAILY_BUDGET: must not be negative"),
        ({"USER_BUDGET_DURATION": "forever"}, "USER_BUDGET_DURATION: must look like 30d"),
        ({"TRUSTED_PROXIES": "everyone"}, "TRUSTED_PROXIES"),
        ({"PROXY_ALLOWED_NETWORKS": "10.0.0.0/99"}, "PROXY_ALLOWED_NETWORKS"),
        ({"PROXY_PORT": "-1"}, "PROXY_PORT: Input should be greater than or equal to 0"),
        (
            {"PROXY_PORT": "8000", "LETTA_BASE_URL": "http://127.0.0.1:8283"},
            "PROXY_PORT must differ from PORT",
        ),
        *(
            (
                {"PROXY_PORT": "8001", "LETTA_BASE_URL": elsewhere},
                "PROXY_PORT is for an agent server on this machine: LETTA_BASE_URL is another one",
            )
            for elsewhere in ("http://letta", "https://10.0.0.7:8283")
        ),
        *(({name: "x"}, f"{name} must have at least") for name in OURS),
        *(({name: "sk-1234"}, f"{name} must have at least") for name in OURS),
        *(
            ({name: "changeme" * 4}, f"{name} is a placeholder: generate a random one")
            for name in OURS
        ),
        *(
            ({"ALLOWED_ORIGINS": origin}, f"ALLOWED_ORIGINS: {origin} {NO_ORIGIN}")
            for origin in (
                *("*", "null", "chat.example.com", "https://*.example.com", "ftp://example.com"),
                *("https://example.com/chat", "https://u:p@example.com", "https://x:y"),
                "https://example.com?a",
            )
        ),
        *(
            ({"TRUSTED_PROXIES": network}, f"TRUSTED_PROXIES: {network} {NOT_JUST_PROXIES}")
            for network in ("0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3")
        ),
    ],
)
def test_production_refuses_unsafe_settings(
    environment: pytest.MonkeyPatch, changed: dict[str, str], line: str
):
    for name, value in {**PRODUCTION, **changed}.items():
        environment.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    (told,) = refused.value.problems
    assert told.startswith(line)
    assert "\n" not in told


def test_every_problem_is_told_at_once(environment: pytest.MonkeyPatch):
    wrong = {"SECRET_KEY": "short", "JWT_ALGORITHM": "none", "SUPABASE_URL": "http://supabase"}
    for name, value in (PRODUCTION | wrong).items():
        environment.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert [line.split()[0] for line in refused.value.problems] == [
        "JWT_ALGORITHM:",
        "SECRET_KEY",
        "SUPABASE_URL,",
    ]


def test_a_mistyped_environment_is_no_development(environment: pytest.MonkeyPatch):
    environment.setenv("ENVIRONMENT", "prod")

    with pytest.raises(SettingsError, match=r"ENVIRONMENT: Input should be"):
        load_settings()

    assert not Path(".data").exists()


@pytest.mark.parametrize(
    "server", [("granian", "--interface", "asgi"), ("uvicorn",)], ids=lambda server: server[0]
)
@pytest.mark.programs
def test_a_refused_start_ends_the_server_with_its_lines(server: tuple[str, ...], tmp_path: Path):
    wrong = {"SECRET_KEY": "short", "JWT_ALGORITHM": "none"}
    (tmp_path / "rxconfig.py").symlink_to(ROOT / "rxconfig.py")

    ended = subprocess.run(
        [sys.executable, "-m", *server, "--factory", "--port", "0", "chat_platform.app:app"],
        cwd=tmp_path,
        env=clean_environment(
            **(PRODUCTION | wrong), REFLEX_ENV_MODE="prod", __REFLEX_SKIP_COMPILE="true"
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "JWT_ALGORITHM: Input should be 'HS256', 'HS384' or 'HS512'\n" in told
    assert "SECRET_KEY must have at least 32 random characters\n" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "safe",
    [
        {"ALLOWED_ORIGINS": "https://chat.example.com, http://localhost:3000/ https://[::1]:8000"},
        {"TRUSTED_PROXIES": "10.0.0.0/8 fd00::/8 203.0.113.9"},
        {"METRICS_TOKEN": "q7Lw2Zt9Xk4Vb6Np1Rs8"},
        *(
            {"PROXY_PORT": "8001", "LETTA_BASE_URL": f"http://{here}:8283"}
            for here in ("127.0.0.1", "[::1]", "localhost")
        ),
    ],
)
def test_production_starts_on_safe_choices(environment: pytest.MonkeyPatch, safe: dict[str, str]):
    for name, value in (PRODUCTION | safe).items():
        environment.setenv(name, value)

    assert load_settings().is_production


def test_production_starts_on_whole_settings(environment: pytest.MonkeyPatch):
    for name, value in PRODUCTION.items():
        environment.setenv(name, value)

    assert load_settings().is_production
    assert not Path(".data").exists()


def test_agents_call_models_through_the_proxys_own_port_where_there_is_one(
    environment: pytest.MonkeyPatch,
):
    agent_id = AgentId("agent-1")
    before = AgentPlan.of(load_settings()).llm_config(agent_id)
    environment.setenv("PROXY_PORT", "8001")
    settings = load_settings()

    plan = AgentPlan.of(settings)

    path = "/api/v1/llm-proxy/agent-1"
    assert before.get("model_endpoint") == f"http://127.0.0.1:8000{path}"
    assert plan.llm_config(agent_id).get("model_endpoint") == f"http://127.0.0.1:8001{path}"
    embedding = plan.embedding_config(agent_id)
    assert embedding.get("embedding_endpoint") == f"http://127.0.0.1:8001{path}"
    assert settings.public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_postgres_address_gets_our_driver(environment: pytest.MonkeyPatch, scheme: str):
    environment.setenv("DATABASE_URL", f"{scheme}://u:p@db/x")

    assert load_settings().database == "postgresql+psycopg://u:p@db/x"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("?pgbouncer=true", ""),
        ("?pgbouncer=true&connection_limit=1", ""),
        ("?sslmode=require&pgbouncer=true", "?sslmode=require"),
        ("?pgbouncer=true&sslmode=require", "?sslmode=require"),
        ("?sslmode=require", "?sslmode=require"),
    ],
)
def test_what_consoles_add_for_other_drivers_is_left_out(
    environment: pytest.MonkeyPatch, query: str, kept: str
):
    environment.setenv("DATABASE_URL", f"postgresql://u:p@db.pooler.supabase.com:6543/x{query}")

    expected = f"postgresql+psycopg://u:p@db.pooler.supabase.com:6543/x{kept}"
    assert load_settings().database == expected


def test_a_provider_key_replaces_the_demo_model(environment: pytest.MonkeyPatch):
    assert load_settings().is_demo

    environment.setenv("GEMINI_API_KEY", "key")

    assert not load_settings().is_demo
    assert load_settings().model_for_chat == "gemini-2.5-flash"
