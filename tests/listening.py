"""Waits for programs that tests start."""

import socket

from tests.waiting import wait_for


def wait_until_listening(port: int, *, name: str) -> None:
    def is_listening() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_for(is_listening, seconds=5, otherwise=lambda: f"{name} did not start")
