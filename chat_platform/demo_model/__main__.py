"""`python -m chat_platform.demo_model --port N [--faults] [--as-user UID:GID]`"""

import argparse
import os
import socket

import uvicorn

# AnyIO imports it on the first response; after `--as-user` it may no longer be readable.
from anyio._backends import _asyncio as _loaded_early  # noqa: F401  # pyright: ignore[reportUnusedImport]

from chat_platform.demo_model.app import create_app


class _Server(uvicorn.Server):
    """Switches user once everything is loaded and the port is bound."""

    def __init__(self, config: uvicorn.Config, as_user: tuple[int, int] | None) -> None:
        super().__init__(config)
        self._as_user = as_user

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._as_user:
            user, group = self._as_user
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)


def main() -> None:
    parser = argparse.ArgumentParser(prog="chat_platform.demo_model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--faults", action="store_true", help="obey the [[words]] that tests send, and list calls"
    )
    parser.add_argument("--as-user", type=_ids, help="the user to switch to when started as root")
    chosen = parser.parse_args()
    # Uvicorn drops the connection when a stream raises, which is what [[cut]] needs.
    config = uvicorn.Config(
        create_app(with_faults=chosen.faults),
        host=chosen.host,
        port=chosen.port,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    _Server(config, chosen.as_user).run()


def _ids(text: str) -> tuple[int, int]:
    user, group = map(int, text.split(":"))
    return user, group


if __name__ == "__main__":
    main()
