"""Answers the proxy's own refusals in OpenAI's error shape, so that agents end cleanly."""

from dataclasses import dataclass

import orjson

from chat_platform.billing.ledger_rows import IntentRefusal, Refused
from chat_platform.clock import to_rfc3339
from chat_platform.errors import PlatformError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass(eq=False)
class Problem(Exception):
    """A refusal or failure that the caller is told in OpenAI's shape."""

    status: int
    code: str
    message: str
    retry_after_seconds: int | None = None
    is_final: bool = False
    """True where trying again cannot help: OpenAI's clients then don't."""

    def body(self) -> bytes:
        return orjson.dumps({"error": self._error()})

    def as_event(self) -> bytes:
        """Return the same as a server-sent event, for a stream that has already begun."""
        return b"data: " + self.body() + b"\n\n"

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", b"application/json")]
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        if self.is_final:
            headers.append((b"x-should-retry", b"false"))
        return headers

    def _error(self) -> dict[str, str | None]:
        kind = _TYPES.get(self.status, "server_error")
        return {"message": self.message, "type": kind, "param": None, "code": self.code}


def wrong_key() -> Problem:
    return Problem(401, "invalid_api_key", "The proxy does not know this key.")


def unknown_path() -> Problem:
    return Problem(404, "not_found", "The proxy has no such path.")


def wrong_method() -> Problem:
    return Problem(405, "method_not_allowed", "The proxy takes another method here.")


def unknown_agent() -> Problem:
    return Problem(404, "agent_not_found", "The proxy knows no such agent.")


def unknown_model(model: str) -> Problem:
    return Problem(403, "model_not_allowed", f"This platform does not offer the model {model!r}.")


def unpriced_model(model: str) -> Problem:
    return Problem(
        403,
        "model_not_allowed",
        f"The model {model!r} has no price at the billing gateway, so nobody could pay for it.",
    )


def malformed(detail: str) -> Problem:
    return Problem(400, "invalid_request", detail)


def too_large(limit_bytes: int) -> Problem:
    return Problem(413, "request_too_large", f"The request is larger than {limit_bytes} bytes.")


def too_many_calls() -> Problem:
    return Problem(429, "too_many_calls", "Too many model calls at once.", retry_after_seconds=1)


def starting() -> Problem:
    return Problem(503, "starting", "The proxy is starting.", retry_after_seconds=1)


def internal_error() -> Problem:
    return Problem(500, "internal_error", "Something went wrong in the proxy.")


def caller_gone() -> Problem:
    return Problem(400, "caller_gone", "The caller left before its request was whole.")


def turn_cancelled() -> Problem:
    return Problem(403, "turn_cancelled", "The person stopped this turn.")


def budget_spent() -> Problem:
    return Problem(402, "insufficient_quota", "The budget is spent.", is_final=True)


def unreachable() -> Problem:
    return Problem(502, "gateway_unreachable", "The billing gateway does not answer.")


def broken_answer() -> Problem:
    return Problem(502, "broken_answer", "The model's answer broke off or made no sense.")


def timed_out() -> Problem:
    return Problem(504, "gateway_timeout", "The model took too long.")


def embeddings_failing(retry_after_seconds: int) -> Problem:
    return Problem(
        503,
        "embeddings_failing",
        "The embedding model failed a moment ago and is given a pause.",
        retry_after_seconds=retry_after_seconds,
        is_final=True,
    )


def gateway_refused(status: int) -> Problem:
    """Stand for LiteLLM's own 401 and 403, whose texts print parts of keys."""
    return Problem(status, "gateway_refused", "The billing gateway refused the call.")


def of_refusal(refused: Refused) -> Problem:
    """Word what the ledger refused."""
    renews = f" It renews at {to_rfc3339(refused.resets_at_ms)}." if refused.resets_at_ms else ""
    problems: dict[IntentRefusal, Problem] = {
        "agent_not_found": unknown_agent(),
        "account_disabled": Problem(403, "account_disabled", "This account is closed."),
        "key_replaced": Problem(503, "key_replaced", "The account's key changed. Try again."),
        "turn_cancelled": turn_cancelled(),
        "budget_spent": Problem(
            402, "insufficient_quota", f"The budget is spent.{renews}", is_final=True
        ),
        "background_spent": Problem(
            402,
            "insufficient_quota",
            f"The agent's share for work outside messages is spent.{renews}",
            is_final=True,
        ),
        "busy": Problem(
            429, "too_many_calls", "The rest of the budget is in use.", retry_after_seconds=1
        ),
    }
    return problems[refused.reason]


def of_platform_error(error: PlatformError) -> Problem:
    return Problem(error.status, error.code, error.message, error.retry_after_seconds)
