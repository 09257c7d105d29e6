"""Every error that the platform tells people about. How each door words it lives in that door.

PlatformError
├── NotSignedIn    401
├── BudgetSpent    402
├── NotAllowed     403
├── NotFound       404
├── Conflict       409
├── Outdated       412
├── TooLarge       413
├── Invalid        422
│   └── UnknownHost 421
├── RateLimited    429
├── UpstreamFailed 502
├── Unavailable    503
└── TimedOut       504
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the input, in words for a person."""

    field: str
    message: str


class PlatformError(Exception):
    """A failure with a stable code, words for a person, and what to do next.

    `code` never changes once published. `retry_after_seconds` is set when waiting helps.
    `extra` holds public facts that the answer carries besides the words (never secrets).
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        fields: tuple[FieldError, ...] = (),
        extra: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.retry_after_seconds = retry_after_seconds
        self.fields = fields
        self.extra = extra or {}


class NotSignedIn(PlatformError):
    status = 401
    default_code = "not_signed_in"


class BudgetSpent(PlatformError):
    """`resets_at_ms` is when the budget renews, where that is known."""

    status = 402
    default_code = "budget_spent"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        extra: dict[str, str] | None = None,
        resets_at_ms: int | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after_seconds=retry_after_seconds, extra=extra)
        self.resets_at_ms = resets_at_ms


class NotAllowed(PlatformError):
    status = 403
    default_code = "not_allowed"


class NotFound(PlatformError):
    status = 404
    default_code = "not_found"


class Conflict(PlatformError):
    status = 409
    default_code = "conflict"


class Outdated(PlatformError):
    """Somebody changed the thing meanwhile: read it again, then decide."""

    status = 412
    default_code = "outdated"


class TooLarge(PlatformError):
    status = 413
    default_code = "too_large"


class Invalid(PlatformError):
    status = 422
    default_code = "invalid"


class UnknownHost(Invalid):
    """The request is for a host that this server does not answer for."""

    status = 421
    default_code = "unknown_host"


class RateLimited(PlatformError):
    status = 429
    default_code = "too_many_requests"


class UpstreamFailed(PlatformError):
    """A peer answered, but with a failure."""

    status = 502
    default_code = "upstream_failed"


class Unavailable(PlatformError):
    """A peer does not answer; nothing was lost and trying again is safe."""

    status = 503
    default_code = "unavailable"


class TimedOut(PlatformError):
    status = 504
    default_code = "timed_out"
