"""LiteLLM's configuration, from a few plain values.

Also runs inside LiteLLM's container image, next to nothing of ours but `default_models.py`.
"""

from collections.abc import Sequence
from typing import Any

from chat_platform.values.default_models import DEMO_CHAT_MODEL, DEMO_EMBEDDING_MODEL

DEMO_MODELS = (DEMO_CHAT_MODEL, DEMO_EMBEDDING_MODEL)
# Dollars per token, those of a small current model, so that the demo's costs look real.
_DEMO_PRICES = {
    DEMO_CHAT_MODEL: {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06},
    DEMO_EMBEDDING_MODEL: {"input_cost_per_token": 2e-08, "output_cost_per_token": 0.0},
}
_DEMO_INFO = {
    DEMO_CHAT_MODEL: {"mode": "chat", "max_output_tokens": 32_768, "max_input_tokens": 128_000},
    DEMO_EMBEDDING_MODEL: {"mode": "embedding", "output_vector_size": 1536},
}
_CHECKED_BY_US = {"custom_auth": "key_check.check"}
# The schema is migrated before the start, with a role that may.
_CHECKED_BY_ITS_DATABASE = {
    "database_url": "os.environ/DATABASE_URL",
    "disable_prisma_schema_update": True,
}


class NoProvider(Exception):
    """A model was chosen that needs a provider's API key, and there is none."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {model} needs a provider, and GEMINI_API_KEY is not set.")


def configuration(
    models: Sequence[str], demo_url: str, *, has_provider: bool, has_database: bool
) -> dict[str, Any]:
    """Return LiteLLM's configuration; JSON is YAML too. Raises NoProvider."""
    return {
        "model_list": [_model(name, demo_url, has_provider) for name in dict.fromkeys(models)],
        # A retry by the gateway itself would be an unrecorded call; one deployment per model
        # leaves nothing to fall back to while it cools down.
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {
            "include_cost_in_streaming_usage": True,
            "drop_params": True,
            "num_retries": 0,
            "request_timeout": 600,
            "telemetry": False,
        },
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "disable_budget_reservation": True,
            **(_CHECKED_BY_ITS_DATABASE if has_database else _CHECKED_BY_US),
        },
    }


def _model(name: str, demo_url: str, has_provider: bool) -> dict[str, Any]:
    if name in DEMO_MODELS:
        return {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": f"{demo_url}/v1",
                "api_key": "no-key-needed",
                "max_retries": 0,
                **_DEMO_PRICES[name],
            },
            "model_info": _DEMO_INFO[name],
        }
    if not has_provider:
        raise NoProvider(name)
    params = {"model": f"gemini/{name}", "api_key": "os.environ/GEMINI_API_KEY", "max_retries": 0}
    return {"model_name": name, "litellm_params": params}
