"""Finds free ports on this machine."""

import random
import socket

# Below the range that systems hand out to outgoing connections, so that a peer which restarts
# finds its port still free.
_FIRST, _LAST = 20_000, 31_999
_handed_out: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, never the same one twice."""
    for port in random.sample(range(_FIRST, _LAST), 400):
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise OSError("no free port on 127.0.0.1")


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
