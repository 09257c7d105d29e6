"""Defines how to build the pages and start the server: pages, API and proxy on PORT."""

import asyncio
import os
import sys
from typing import NoReturn

from pydantic import SecretStr

from chat_platform.launcher import frontend
from chat_platform.launcher.environments import run_to_end
from chat_platform.launcher.frontend import ROOT
from chat_platform.launcher.peers import Peer, answers
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.launcher.steps import Steps
from chat_platform.settings import Settings

_REFLEX = {
    "REFLEX_ENV_MODE": "prod",
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
}
DRAIN_SECONDS = 20.0
"""How long running requests and turns may take to end after SIGTERM."""


def peer(settings: Settings, places: Places) -> Peer:
    local = f"http://127.0.0.1:{settings.port}"
    return Peer(
        title="Server",
        url=f"http://localhost:{settings.port}",
        is_ready=answers(f"{local}/api/v1/health/live"),
        program=Program(
            name="server",
            argv=_command(settings),
            cwd=ROOT,
            log=places.logs / "server.log",
            environment={**os.environ, **_REFLEX, **handed_on(settings, places)},
            stop_seconds=DRAIN_SECONDS + 5,
        ),
    )


def serve(settings: Settings) -> NoReturn:
    """Become the server: this process goes on as the web server, with nothing behind it."""
    os.chdir(ROOT)
    command = _command(settings)
    os.execve(command[0], command, {**os.environ, **_REFLEX})  # noqa: S606


async def ensure_pages(places: Places, steps: Steps) -> None:
    """Build the pages if they are missing or out of date. Raises LaunchFailed."""
    if not await asyncio.to_thread(frontend.is_built):
        with steps.step("Build the pages", hint="when they changed, about a minute"):
            await _build_pages(places)


async def _build_pages(places: Places) -> None:
    """Build the pages in a separate process, which can be stopped. Raises LaunchFailed."""
    program = Program(
        name="frontend-build",
        argv=(sys.executable, "-m", "chat_platform", "build"),
        cwd=ROOT,
        log=places.logs / "frontend-build.log",
        environment=os.environ,
    )
    await run_to_end(program, places)


def _command(settings: Settings) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
        *("--host", settings.host, "--port", str(settings.port), "--workers", "1"),
        *("--ws", "--no-access-log", "--workers-kill-timeout", str(int(DRAIN_SECONDS))),
        "chat_platform.app:app",
    )


def handed_on(settings: Settings, places: Places) -> dict[str, str]:
    """Return every setting that differs from its default, to pass on to the server."""
    chosen = {**settings.model_dump(exclude_defaults=True), "data_dir": places.data_dir}
    return {name.upper(): _plain(value) for name, value in chosen.items()}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
