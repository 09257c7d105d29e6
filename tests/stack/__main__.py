"""Runs the production shape on this machine until told to stop: `make stack`.

Environment: PORT (8000), DATA_DIR (.data/stack), SERVERS (2), GATEWAY_DATABASE (no: LiteLLM without
one, as `make run` has it, also where the rig is), and all settings of the platform.
"""

import asyncio
import os
import sys
from pathlib import Path

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.ground import reachable
from chat_platform.launcher.places import places_of
from chat_platform.launcher.up import make_data_dir, only_launcher
from chat_platform.settings import SettingsError, load_settings
from tests.stack.launch import Stack

_ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    os.umask(0o077)
    os.environ.setdefault("DATA_DIR", str(_ROOT / ".data" / "stack"))
    os.environ.setdefault("CHAT_PLATFORM_ENV_DIR", str(_ROOT / ".data" / "env"))
    settings = load_settings()
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    places = places_of(settings)
    make_data_dir(places)
    places = reachable(places)
    servers = int(os.environ.get("SERVERS", "2"))
    has_database = os.environ.get("GATEWAY_DATABASE", "") != "no"
    with only_launcher(places):
        stack = Stack(settings, places, servers=servers, may_use_rig=has_database)
        asyncio.run(stack.run())


if __name__ == "__main__":
    try:
        main()
    except LaunchFailed as failure:
        sys.exit(f"{failure.message}\n{failure.way_out}")
    except SettingsError as failure:
        sys.exit("\n".join(failure.problems))
