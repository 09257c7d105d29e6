"""The secrets of a platform in containers, one line of `.env` each."""

import secrets

NAMES = (
    "SECRET_KEY",
    "LETTA_API_TOKEN",
    "LETTA_GLOBAL_API_KEY",
    "LETTA_ENCRYPTION_KEY",
    "LITELLM_MASTER_KEY",
    "METRICS_TOKEN",
    "REDIS_PASSWORD",
    "POSTGRES_PASSWORD",
    "PLATFORM_DATABASE_PASSWORD",
    "LETTA_DATABASE_PASSWORD",
    "LITELLM_DATABASE_PASSWORD",
    "LITELLM_SALT_KEY",
)
"""All that docker-compose.yml requires."""


def env_lines() -> list[str]:
    """Return new random values, usable in URLs and in shells without quotes."""
    return [f"{name}={_prefix(name)}{secrets.token_hex(24)}" for name in NAMES]


def _prefix(name: str) -> str:
    # LiteLLM takes only master keys that look like OpenAI's.
    return "sk-" if name == "LITELLM_MASTER_KEY" else ""
