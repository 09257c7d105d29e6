"""Defines how to start LiteLLM without a database: models, prices, and the key check."""

import json
import os
from pathlib import Path
from typing import Any

from chat_platform.billing.keys import derive_subkey
from chat_platform.launcher.environments import Environment, make_environment
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.ground import home_of, programs_folder, put
from chat_platform.launcher.litellm.configuration import DEMO_MODELS, NoProvider
from chat_platform.launcher.litellm.configuration import configuration as configuration_of
from chat_platform.launcher.peers import Peer, answers, bare_environment
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings

_HERE = Path(__file__).parent
ENVIRONMENT = Environment("litellm", _HERE / "requirements.txt")

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
    """Return the configuration for these settings. Raises LaunchFailed."""
    try:
        return configuration_of(
            _models(settings),
            demo_url,
            has_provider=bool(settings.gemini_api_key.get_secret_value()),
            has_database=False,
        )
    except NoProvider as exc:
        raise LaunchFailed(
            str(exc),
            way_out="Set it, or unset CHAT_MODEL and EMBEDDING_MODEL to use the demo model.",
        ) from exc


def _models(settings: Settings) -> tuple[str, str]:
    return settings.model_for_chat, settings.model_for_embeddings


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
