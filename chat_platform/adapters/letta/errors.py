"""Translates what Letta and its client raise into the platform's errors.

Letta reports a failed model call in three ways: as an HTTP status, as an `error` event inside a
stream that began with 200, or only as a stop reason. All three end here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from letta_client import APIConnectionError, APIStatusError, LettaError

from chat_platform.errors import (
    NotFound,
    PlatformError,
    agent_unavailable,
    budget_spent_midway,
    model_busy,
    model_failed,
)

# Letta's responses for an id that is unknown, another agent's, or malformed.
_MISSING = (404, 400, 422)


@contextmanager
def translated(missing: NotFound | None = None) -> Iterator[None]:
    """Raise platform errors for Letta's; `missing` for an id that it refuses."""
    try:
        yield
    except APIStatusError as exc:
        if missing and exc.status_code in _MISSING:
            raise missing from exc
        raise _status_error(exc) from exc
    except (APIConnectionError, LettaError, httpx.HTTPError, httpx.StreamError) as exc:
        raise agent_unavailable() from exc


def _status_error(exc: APIStatusError) -> PlatformError:
    kind, detail = _kind_and_detail(exc.body)
    if exc.status_code == 402 or kind == "llm_insufficient_credits" or "PAYMENT_REQUIRED" in detail:
        return budget_spent_midway()
    if kind == "llm_rate_limit":
        return model_busy()
    if kind.startswith("llm_") or exc.status_code == 200:
        return model_failed()
    # Everything else is Letta's own problem: its key, its database, a missing agent.
    return agent_unavailable()


def _kind_and_detail(body: object) -> tuple[str, str]:
    """Return the error's type and detail, from a stream's event or from an answer's body."""
    if not isinstance(body, dict):
        return "", str(body or "")
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    kind = inner.get("error_type") or inner.get("type") or ""
    return str(kind), str(inner.get("detail") or inner.get("message") or "")
