"""Translates what Letta and its client raise into the platform's errors.

Letta reports a failed model call in three ways: as an HTTP status, as an `error` event inside a
stream that began with 200, or only as a stop reason. All three end here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from letta_client import APIConnectionError, APIStatusError, LettaError

from chat_platform.errors import (
    BudgetSpent,
    NotFound,
    PlatformError,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)

# What Letta says of an id: unknown, of another agent, or none at all.
_MISSING = (404, 400, 422)


@contextmanager
def translated(missing: str | None = None) -> Iterator[None]:
    """Raise platform errors for Letta's; `missing` are the words for an id that it refuses."""
    try:
        yield
    except APIStatusError as exc:
        if missing and exc.status_code in _MISSING:
            raise NotFound(missing) from exc
        raise _status_error(exc) from exc
    except (APIConnectionError, LettaError, httpx.HTTPError, httpx.StreamError) as exc:
        raise agent_unavailable() from exc


def agent_unavailable() -> Unavailable:
    return Unavailable(
        "Your agent is not answering. Try again in a moment.",
        code="agent_unavailable",
        retry_after_seconds=5,
    )


def model_failed() -> UpstreamFailed:
    return UpstreamFailed("The model failed to answer. Try again.", code="model_failed")


def _status_error(exc: APIStatusError) -> PlatformError:
    kind, detail = _kind_and_detail(exc.body)
    if exc.status_code == 402 or kind == "llm_insufficient_credits" or "PAYMENT_REQUIRED" in detail:
        return BudgetSpent("Your budget is spent.", code="budget_spent")
    if kind == "llm_rate_limit":
        return RateLimited(
            "The model is busy. Try again in a minute.",
            code="too_many_requests",
            retry_after_seconds=60,
        )
    if kind.startswith("llm_") or exc.status_code == 200:
        return model_failed()
    # Everything else is Letta's own trouble: its key, its database, an agent that is gone.
    return agent_unavailable()


def _kind_and_detail(body: object) -> tuple[str, str]:
    """Return the error's type and detail, from a stream's event or from an answer's body."""
    if not isinstance(body, dict):
        return "", str(body or "")
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    kind = inner.get("error_type") or inner.get("type") or ""
    return str(kind), str(inner.get("detail") or inner.get("message") or "")
