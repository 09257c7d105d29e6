"""Says how to start the server itself: pages, API and proxy in one process on PORT."""

import os
import sys
from pathlib import Path

from pydantic import SecretStr

from chat_platform.launcher.peers import Peer, answers
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings

# What the launcher decided or made up; all else the server reads for itself.
_HANDED_ON = (
    *("host", "port", "data_dir", "backend_base_url"),
    *("letta_base_url", "letta_api_token", "letta_global_api_key"),
    *("litellm_base_url", "litellm_master_key", "litellm_has_database"),
)
# Serve what is built, never build at start. The names are internal to the pinned Reflex.
_REFLEX = {
    "REFLEX_ENV_MODE": "prod",
    "__REFLEX_SKIP_COMPILE": "true",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
}
_DRAIN_SECONDS = 20.0


def peer(settings: Settings, places: Places) -> Peer:
    local = f"http://127.0.0.1:{settings.port}"
    return Peer(
        title="Server",
        url=f"http://localhost:{settings.port}",
        is_ready=answers(f"{local}/api/v1/health/live"),
        program=Program(
            name="server",
            argv=(
                *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
                *("--host", settings.host, "--port", str(settings.port), "--workers", "1"),
                *("--ws", "--no-access-log", "--workers-kill-timeout", str(int(_DRAIN_SECONDS))),
                "chat_platform.app:app",
            ),
            cwd=Path.cwd(),
            log=places.logs / "server.log",
            environment={**os.environ, **_REFLEX, **_handed_on(settings)},
            stop_seconds=_DRAIN_SECONDS + 5,
        ),
    )


def _handed_on(settings: Settings) -> dict[str, str]:
    values = {name.upper(): getattr(settings, name) for name in _HANDED_ON}
    return {name: _plain(value) for name, value in values.items() if value != ""}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
