"""Defines how to start LiteLLM without a database: models, prices, and the key check."""

import json
import os
from pathlib import Path
from typing import Any

from chat_platform.billing.keys import derive_subkey
from chat_platform.launcher.environments import Environment, make_environment
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.ground import home_of, programs_folder, put
from chat_platform.launcher.peers import Peer, answers, bare_environment
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import DEMO_CHAT_MODEL, DEMO_EMBEDDING_MODEL, Settings

_HERE = Path(__file__).parent
ENVIRONMENT = Environment("litellm", _HERE / "requirements.txt")

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
# The provider is on the internet: proxies to it are the operator's business.
_NETWORK = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


async def install(places: Places) -> None:
    await make_environment(ENVIRONMENT, places)


def needs_demo_model(settings: Settings) -> bool:
    return not set(DEMO_MODELS).isdisjoint(_models(settings))


def peer(settings: Settings, places: Places, port: int, demo_url: str) -> Peer:
    """Write the configuration and return the peer. Raises LaunchFailed."""
    # LiteLLM imports the check from the folder of its configuration.
    folder = programs_folder(places, "litellm", _HERE / "run.py", _HERE / "key_check.py")
    config = folder / "config.yaml"
    put(config, json.dumps(configuration(settings, demo_url), indent=2))
    url = f"http://127.0.0.1:{port}"
    return Peer(
        title="LiteLLM",
        url=url,
        is_ready=answers(f"{url}/health/liveliness"),
        program=Program(
            name="litellm",
            argv=(
                *(str(ENVIRONMENT.python(places)), str(folder / "run.py")),
                *("--config", str(config), "--num_workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ),
            cwd=home_of(folder),
            log=places.logs / "litellm.log",
            environment=_environment(settings, home_of(folder)),
            user=places.peer_user,
        ),
    )


def configuration(settings: Settings, demo_url: str) -> dict[str, Any]:
    """Return LiteLLM's configuration; JSON is YAML too."""
    return {
        "model_list": [_model(settings, name, demo_url) for name in _models(settings)],
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
            "custom_auth": "key_check.check",
            "disable_budget_reservation": True,
        },
    }


def _models(settings: Settings) -> tuple[str, ...]:
    return tuple(dict.fromkeys((settings.model_for_chat, settings.model_for_embeddings)))


def _model(settings: Settings, name: str, demo_url: str) -> dict[str, Any]:
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
    if not settings.gemini_api_key.get_secret_value():
        raise LaunchFailed(
            f"The model {name} needs a provider, and GEMINI_API_KEY is not set.",
            way_out="Set it, or unset CHAT_MODEL and EMBEDDING_MODEL to use the demo model.",
        )
    params = {"model": f"gemini/{name}", "api_key": "os.environ/GEMINI_API_KEY", "max_retries": 0}
    return {"model_name": name, "litellm_params": params}


def _environment(settings: Settings, home: Path) -> dict[str, str]:
    secret_key = settings.secret_key.get_secret_value()
    return {
        **bare_environment(home=home),
        **{name: os.environ[name] for name in _NETWORK if name in os.environ},
        "TZ": "UTC",
        "LITELLM_MASTER_KEY": settings.litellm_master_key.get_secret_value(),
        "BILLING_SUBKEY": derive_subkey(secret_key).hex(),
        "GEMINI_API_KEY": settings.gemini_api_key.get_secret_value(),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "DISABLE_ADMIN_UI": "True",
    }
