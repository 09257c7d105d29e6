"""Waits for programs that tests start."""

import socket
import time


def wait_until_listening(port: int, *, name: str) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{name} did not start")
