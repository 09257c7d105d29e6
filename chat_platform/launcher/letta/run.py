"""Runs inside Letta's own environment: `run.py serve` or `run.py migrate`, without the network.

Environment: LETTA_HOST, LETTA_PORT, and Letta's own variables.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# ruff: noqa: PLC0415
import logging
import os
import sys
from typing import TextIO
from urllib.parse import urlsplit


class _WithoutSecrets:
    """A stream that writes stars for secrets: Letta prints its password and its database's."""

    def __init__(self, stream: TextIO, secrets: list[str]) -> None:
        self._stream = stream
        self._secrets = [secret for secret in secrets if secret]

    def write(self, text: str) -> int:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def serve() -> None:
    # Letta's app reads the command line: this one keeps it from writing a large file where it is.
    sys.argv = ["letta", "server", "--no-generation"]
    # It logs at INFO whatever is set.
    logging.disable(logging.INFO)
    import nltk

    # Its start would fetch tokenizer data from the network; nothing that we use needs it.
    nltk.download = lambda *_args, **_kwargs: True
    import uvicorn

    uvicorn.run(
        "letta.server.rest_api.app:app",
        host=os.environ["LETTA_HOST"],
        port=int(os.environ["LETTA_PORT"]),
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
    known = [
        os.environ["LETTA_SERVER_PASSWORD"],
        urlsplit(os.environ["LETTA_PG_URI"]).password or "",
    ]
    sys.stdout, sys.stderr = (_WithoutSecrets(out, known) for out in (sys.stdout, sys.stderr))
    {"serve": serve, "migrate": migrate}[sys.argv[1]]()
