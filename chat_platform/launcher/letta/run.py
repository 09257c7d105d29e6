"""Runs inside Letta's own environment: `run.py serve` or `run.py migrate`, without the network.

Environment: LETTA_HOST, LETTA_PORT, LETTA_HOSTS (further names under which it may be called, with
their ports, separated by spaces), and Letta's own variables.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# ruff: noqa: PLC0415
import ctypes
import logging
import os
import sys
from typing import TextIO
from urllib.parse import urlsplit

_PR_SET_DUMPABLE = 4


class _WithoutSecrets:
    """A stream that masks secrets: Letta prints its password and its database's."""

    def __init__(self, stream: TextIO, secrets: list[str]) -> None:
        self._stream = stream
        self._secrets = [secret for secret in secrets if secret]

    def write(self, text: str) -> int:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def hide_environment() -> None:
    """Keep other programs of this user from reading our secrets in /proc, and core dumps from them.

    LiteLLM and anything else running as `nobody` is such a program. Does nothing except on Linux.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def serve() -> None:
    # Letta's app reads the command line: this one keeps it from writing a large file to its folder.
    sys.argv = ["letta", "server", "--no-generation"]
    # It always logs at INFO.
    logging.disable(logging.INFO)
    import nltk

    # Its start would fetch tokenizer data from the network; nothing we use needs it.
    nltk.download = lambda *_args, **_kwargs: True
    import uvicorn
    from door import Door
    from letta.server.rest_api.app import app

    host, port = os.environ["LETTA_HOST"], int(os.environ["LETTA_PORT"])
    uvicorn.run(
        Door(
            app,
            password=os.environ["LETTA_SERVER_PASSWORD"],
            hosts=[
                *(f"{name}:{port}" for name in (host, "localhost")),
                *os.environ.get("LETTA_HOSTS", "").split(),
            ],
        ),
        # With `::` itself it would listen on IPv6 alone; with an empty host, on everything.
        host="" if host == "::" else host,
        port=port,
        # There is no proxy in between: clients must not say where they come from.
        proxy_headers=False,
        # On plain asyncio about a quarter of the messages hang for a minute.
        loop="uvloop",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


def migrate() -> None:
    from alembic.config import main

    main(argv=["upgrade", "head"])


if __name__ == "__main__":
    hide_environment()
    known = [
        os.environ["LETTA_SERVER_PASSWORD"],
        urlsplit(os.environ["LETTA_PG_URI"]).password or "",
    ]
    sys.stdout, sys.stderr = (_WithoutSecrets(out, known) for out in (sys.stdout, sys.stderr))
    {"serve": serve, "migrate": migrate}[sys.argv[1]]()
