"""Finds free ports on this machine."""

import random
import socket
import sys
from pathlib import Path

# Below the range that systems hand out to outgoing connections, so that a peer which restarts
# finds its port still free.
_FIRST, _LAST = 20_000, 31_999
_handed_out: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, never the same one twice.

    On Linux no other launcher gets it either, until this process ends.
    """
    for port in random.sample(range(_FIRST, _LAST), 400):
        if _take(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def kept_port(file: Path) -> int:
    """Return the port that the file names if it can be had, else a free one, and keep it there."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if not (_FIRST <= port <= _LAST and _take(port)):
        port = free_port()
        file.write_text(f"{port}\n")
    return port


def _take(port: int) -> bool:
    """Claim the port if it is free: its server may take a minute to start listening."""
    if port in _handed_out or not is_free(port) or not _claim(port):
        return False
    _handed_out.add(port)
    return True


def _claim(port: int) -> bool:
    """Bind a name that belongs to this process until its end; only Linux has such names."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0chat-platform-port-{port}")
    except OSError:
        claim.close()
        return False
    # Without its object, which would close it.
    claim.detach()
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Servers set it too: without it a port just closed would look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
