"""What a turn can fail of: the stable code, words for a person, and the error of each door."""

from dataclasses import dataclass

from chat_platform.errors import (
    BudgetSpent,
    PlatformError,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from chat_platform.ids import TurnId


@dataclass(frozen=True)
class TurnFailure:
    """Why a turn failed. `detail` says what happened and what to do next."""

    code: str
    detail: str


INTERRUPTED = TurnFailure(
    "interrupted", "The server stopped while your agent was answering. Send your message again."
)
EMPTY_REPLY = TurnFailure(
    "model_failed", "The model gave no answer. Send your message again, perhaps in other words."
)
GATEWAY_AWAY = TurnFailure(
    "agent_unavailable", "Your agent cannot reach its model. Send your message again in a moment."
)
INTERNAL = TurnFailure(
    "internal_error", "Something went wrong on our side. Send your message again."
)

_CLASSES: dict[str, type[PlatformError]] = {
    "budget_spent": BudgetSpent,
    "agent_unavailable": Unavailable,
    "billing_unavailable": Unavailable,
    "interrupted": Unavailable,
    "model_failed": UpstreamFailed,
    "model_busy": UpstreamFailed,
    "context_too_long": UpstreamFailed,
    "internal_error": PlatformError,
}


def failure_of(error: Exception) -> TurnFailure:
    """Map what the run raised to a code of the contract; unknown errors tell nothing."""
    match error:
        case PlatformError() if error.code in _CLASSES:
            return TurnFailure(error.code, error.message)
        case BudgetSpent():
            return TurnFailure("budget_spent", error.message)
        case Unavailable():
            return TurnFailure("agent_unavailable", error.message)
        case RateLimited():
            return TurnFailure("model_busy", error.message)
        case PlatformError():
            return TurnFailure("model_failed", error.message)
        case _:
            return INTERNAL


def error_of(failure: TurnFailure, turn_id: TurnId) -> PlatformError:
    """Return the error that a reader of the whole answer gets for a failed turn."""
    kind = _CLASSES.get(failure.code, UpstreamFailed)
    return kind(failure.detail, code=failure.code, extra={"turn_id": turn_id})
