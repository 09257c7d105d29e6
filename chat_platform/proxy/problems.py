"""The proxy's own refusals, in OpenAI's error format, so that agents end cleanly."""

from dataclasses import dataclass

import orjson

from chat_platform.billing.ledger_rows import IntentRefusal, Refused
from chat_platform.errors import PlatformError
from chat_platform.values.clock import to_rfc3339

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
}


@dataclass(eq=False)
class Problem(Exception):
    """A refusal or failure that is returned to the caller in OpenAI's format."""

    status: int
    code: str
    message: str
    retry_after_seconds: int | None = None
    is_final: bool = False
    """True if retrying cannot help: OpenAI's clients then do not retry."""
    allow: str | None = None
    """The methods that are allowed."""

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
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        return headers

    def _error(self) -> dict[str, str | None]:
        kind = _TYPES.get(self.status, "server_error")
        return {"message": self.message, "type": kind, "param": None, "code": self.code}


def wrong_key() -> Problem:
    return Problem(401, "invalid_api_key", "This API key is not valid.")


def unknown_path() -> Problem:
    return Problem(404, "not_found", "There is no such path.")


def wrong_method(*allowed: str) -> Problem:
    detail = f"Only {allowed[0]} is allowed here."
    return Problem(405, "method_not_allowed", detail, allow=", ".join(allowed))


def unreadable(words: str) -> Problem:
    return Problem(415, "unsupported_media_type", words)


def unknown_agent() -> Problem:
    return Problem(404, "agent_not_found", "There is no such agent.")


def unknown_model(model: str) -> Problem:
    return Problem(403, "model_not_allowed", f"This platform does not offer the model {model!r}.")


def unpriced_model(model: str) -> Problem:
    return Problem(
        403,
        "model_not_allowed",
        f"The model {model!r} has no price at the billing gateway, so it cannot be charged.",
    )


def malformed(detail: str) -> Problem:
    return Problem(400, "invalid_request", detail)


def not_http() -> Problem:
    return Problem(400, "malformed_http", "The request is not valid HTTP/1.1.")


def head_too_large() -> Problem:
    return Problem(431, "headers_too_large", "The request's headers are too large.")


def too_slow() -> Problem:
    return Problem(408, "request_timeout", "The request took too long to arrive.")


def too_large(limit_bytes: int) -> Problem:
    return Problem(413, "request_too_large", f"The request is larger than {limit_bytes} bytes.")


def too_many_calls() -> Problem:
    return Problem(429, "too_many_calls", "Too many model calls at once.", retry_after_seconds=1)


def starting() -> Problem:
    return Problem(503, "starting", "The proxy is starting.", retry_after_seconds=1)


def internal_error() -> Problem:
    return Problem(500, "internal_error", "Something went wrong in the proxy.")


def caller_gone() -> Problem:
    return Problem(400, "caller_gone", "The client disconnected before sending the whole request.")


def turn_cancelled() -> Problem:
    return Problem(403, "turn_cancelled", "The person stopped this turn.")


def budget_spent() -> Problem:
    return Problem(402, "insufficient_quota", "The budget is spent.", is_final=True)


def platform_spent(words: str) -> Problem:
    # Not 429, as OpenAI does: the agent server would retry three times and report a busy model.
    return Problem(402, "insufficient_quota", words, is_final=True)


def unreachable() -> Problem:
    return Problem(502, "gateway_unreachable", "The billing gateway is not responding.")


def broken_answer() -> Problem:
    return Problem(502, "broken_answer", "The model's answer broke off or could not be read.")


def too_long_answer() -> Problem:
    # Final: the same request would be answered, and charged, in the same way again.
    words = "The model's answer is longer than allowed."
    return Problem(502, "answer_too_long", words, is_final=True)


def timed_out() -> Problem:
    return Problem(504, "gateway_timeout", "The model took too long.")


def embeddings_failing(retry_after_seconds: int) -> Problem:
    return Problem(
        503,
        "embeddings_failing",
        "The embedding model failed a moment ago. Wait before trying again.",
        retry_after_seconds=retry_after_seconds,
        is_final=True,
    )


def gateway_refused(status: int) -> Problem:
    """Replace LiteLLM's own 401 and 403, whose texts contain parts of keys."""
    return Problem(status, "gateway_refused", "The billing gateway refused the call.")


def of_refusal(refused: Refused) -> Problem:
    """Return the problem for a refusal by the ledger."""
    renews = f" It renews at {to_rfc3339(refused.resets_at_ms)}." if refused.resets_at_ms else ""
    problems: dict[IntentRefusal, Problem] = {
        "agent_not_found": unknown_agent(),
        "account_disabled": Problem(403, "account_disabled", "This account is disabled."),
        "key_replaced": Problem(503, "key_replaced", "The account's key changed. Try again."),
        "turn_cancelled": turn_cancelled(),
        "turn_over": Problem(403, "turn_over", "The turn that this call belongs to has ended."),
        "budget_spent": Problem(
            402, "insufficient_quota", f"The budget is spent.{renews}", is_final=True
        ),
        "background_spent": Problem(
            402,
            "insufficient_quota",
            f"The agent's budget for background work is spent.{renews}",
            is_final=True,
        ),
        "busy": Problem(
            429,
            "too_many_calls",
            "The rest of the budget is reserved by other calls.",
            retry_after_seconds=1,
        ),
        "platform_spent": platform_spent(
            "This whole platform has reached its spending limit; the person's own budget "
            "is not affected. An administrator can raise the limit."
        ),
        "platform_day_spent": platform_spent(
            "This whole platform has reached its spending limit for today; the person's own"
            f" budget is not affected.{renews}"
        ),
        "platform_busy": Problem(
            429,
            "too_many_calls",
            "The rest of this platform's budget is reserved by other calls.",
            retry_after_seconds=1,
        ),
    }
    return problems[refused.reason]


def of_platform_error(error: PlatformError) -> Problem:
    return Problem(error.status, error.code, str(error), error.retry_after_seconds)
