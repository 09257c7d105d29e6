"""Defines how to start the demo model."""

import sys

from chat_platform.launcher.peers import Peer, answers, bare_environment
from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings


def peer(settings: Settings, places: Places, port: int) -> Peer:
    flags = ("--faults",) if settings.demo_faults else ()
    user = places.peer_user
    # It runs from our own environment, which that user may not be able to read: it loads as our
    # user, and switches to that one before it serves.
    flags += ("--as-user", f"{user.uid}:{user.gid}") if user else ()
    url = f"http://127.0.0.1:{port}"
    return Peer(
        title="Demo model",
        url=url,
        is_ready=answers(f"{url}/v1/models"),
        program=Program(
            name="demo-model",
            argv=(sys.executable, "-m", "chat_platform.demo_model", "--port", str(port), *flags),
            cwd=places.data_dir,
            log=places.logs / "demo-model.log",
            environment=bare_environment(),
            stop_seconds=3,
        ),
    )
