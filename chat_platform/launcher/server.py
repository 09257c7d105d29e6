"""Defines how to build the pages and start the server: pages, API and proxy on PORT."""

import os
import sys

from pydantic import SecretStr

from chat_platform.launcher.environments import run_to_end
from chat_platform.launcher.frontend import ROOT
from chat_platform.launcher.peers import Peer, answers
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings

_REFLEX = {
    "REFLEX_ENV_MODE": "prod",
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
            cwd=ROOT,
            log=places.logs / "server.log",
            environment={**os.environ, **_REFLEX, **_handed_on(settings, places)},
            stop_seconds=_DRAIN_SECONDS + 5,
        ),
    )


async def build_pages(places: Places) -> None:
    """Build the pages in a separate process, which can be stopped. Raises LaunchFailed."""
    program = Program(
        name="frontend-build",
        argv=(sys.executable, "-m", "chat_platform", "build"),
        cwd=ROOT,
        log=places.logs / "frontend-build.log",
        environment=os.environ,
    )
    await run_to_end(program, places)


def _handed_on(settings: Settings, places: Places) -> dict[str, str]:
    """Return every setting that differs from its default, to pass on to the server."""
    chosen = {**settings.model_dump(exclude_defaults=True), "data_dir": places.data_dir}
    return {name.upper(): _plain(value) for name, value in chosen.items()}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
