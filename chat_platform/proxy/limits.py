"""Limits of the proxy's own listener."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may send, and how long everything may take."""

    max_head_bytes: int = 32 * 1024
    max_headers: int = 100
    max_ahead_bytes: int = 64 * 1024
    """How much is kept of what arrives before the previous answer is complete."""
    head_seconds: float = 10
    body_seconds: float = 60
    idle_seconds: float = 75
    stall_seconds: float = 60
    """How long a caller may read nothing while its answer waits."""
    linger_seconds: float = 2
    """How long a refused caller may go on sending, so that it finds time to read the refusal."""
