"""Why turns fail: a stable code for each reason, and the error behind it for every door."""

from chat_platform.billing.platform_budget import platform_spent
from chat_platform.errors import (
    MODEL_BUSY,
    BudgetSpent,
    PlatformError,
    RateLimited,
    Unavailable,
    UpstreamFailed,
    agent_unavailable,
    billing_unavailable,
    budget_spent_midway,
    internal_error,
    model_failed,
)
from chat_platform.ports import RunCancelled
from chat_platform.values.ids import TurnId

_INTERRUPTED = Unavailable(
    "The server stopped while your agent was answering. The part that arrived has been kept. "
    "Send your message again.",
    code="interrupted",
)
_ERRORS: dict[str, PlatformError] = {
    error.code: error
    for error in (
        budget_spent_midway(),
        platform_spent(),
        platform_spent(resets_at_ms=0),
        agent_unavailable(),
        billing_unavailable(),
        _INTERRUPTED,
        model_failed(),
        UpstreamFailed(MODEL_BUSY, code="model_busy"),
        internal_error(),
    )
}
"""Every way to fail; `error_of` returns a new one to raise."""

INTERRUPTED = _INTERRUPTED.code
EMPTY_REPLY = model_failed().code
GATEWAY_AWAY = agent_unavailable().code
INTERNAL = internal_error().code


def failure_of(error: Exception) -> str:
    """Map what the run raised to a code of the contract; unknown errors reveal no details."""
    match error:
        case PlatformError(code=code) if code in _ERRORS:
            return code
        case RunCancelled():
            return INTERRUPTED
        case BudgetSpent():
            return "budget_spent"
        case Unavailable():
            return "agent_unavailable"
        case RateLimited():
            return "model_busy"
        case PlatformError():
            return "model_failed"
        case _:
            return INTERNAL


def error_of(code: str, turn_id: TurnId | None = None) -> PlatformError:
    """Return the error of a turn that failed, for people and for clients that wait for its end."""
    known = _ERRORS.get(code) or model_failed()
    return type(known)(known.message, code=code, extra={"turn_id": turn_id} if turn_id else None)
