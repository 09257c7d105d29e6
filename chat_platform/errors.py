"""Every error that the platform reports to people. Each door formats them in its own way.

A sentence stands once, where its error is made. Its English text is also the key of its
translations in `web/locale/`.

PlatformError
├── NotSignedIn    401
├── BudgetSpent    402
│   └── PlatformBudgetSpent
├── NotAllowed     403
├── NotFound       404
├── Conflict       409
├── Outdated       412
├── TooLarge       413
├── UnsupportedMediaType 415
├── Invalid        422
│   └── UnknownHost 421
├── RateLimited    429
├── UpstreamFailed 502
├── Unavailable    503
└── TimedOut       504
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, LiteralString

Value = int | str
"""A value in a message. A number whose name ends in `_ms` is a moment; others are amounts."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def sentence(message: LiteralString) -> LiteralString:
    """Mark a message that is written apart from its error, so that it gets translated too."""
    return message


def filled(message: str, values: Mapping[str, str]) -> str:
    """Return the message with its placeholders replaced. It may be anything: no format specs."""
    return _PLACEHOLDER.sub(lambda name: values.get(name[1], name[0]), message)


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the input, as a message for people."""

    field: str
    message: str


class PlatformError(Exception):
    """A failure with a stable code and a message for people: what happened, what to do next.

    `message` is an English sentence with placeholders for `values`; `str(error)` is the whole text.
    `code` never changes once published. `field` is the part of the input that is wrong; `fields`
    is for several. `retry_after_seconds` is set when waiting helps. `extra` holds additional
    public fields of the response (never secrets).
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: LiteralString,
        *,
        values: Mapping[str, Value] | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        field: str = "",
        fields: tuple[FieldError, ...] = (),
        extra: dict[str, str] | None = None,
    ) -> None:
        self.message: LiteralString = message
        self.values = values or {}
        text = filled(message, {name: _english(name, v) for name, v in self.values.items()})
        super().__init__(text)
        self.code = code or self.default_code
        self.retry_after_seconds = retry_after_seconds
        self.fields = (FieldError(field, text),) if field else fields
        self.extra = extra or {}


class NotSignedIn(PlatformError):
    status = 401
    default_code = "not_signed_in"


class BudgetSpent(PlatformError):
    status = 402
    default_code = "budget_spent"


class PlatformBudgetSpent(BudgetSpent):
    """The platform's budget is spent, not this person's."""

    default_code = "platform_budget_spent"


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
    """It was changed in the meantime: read it again, then decide."""

    status = 412
    default_code = "outdated"


class TooLarge(PlatformError):
    status = 413
    default_code = "too_large"


class UnsupportedMediaType(PlatformError):
    """The body is not JSON where JSON is expected, not a form where a form is, or compressed."""

    status = 415
    default_code = "unsupported_media_type"


class Invalid(PlatformError):
    status = 422
    default_code = "invalid"


class UnknownHost(Invalid):
    """The request is for a host that this server does not serve."""

    status = 421
    default_code = "unknown_host"


class RateLimited(PlatformError):
    status = 429
    default_code = "too_many_requests"


class UpstreamFailed(PlatformError):
    """A peer responded with a failure."""

    status = 502
    default_code = "upstream_failed"


class Unavailable(PlatformError):
    """A peer is not responding; nothing was lost and retrying is safe."""

    status = 503
    default_code = "unavailable"


class TimedOut(PlatformError):
    status = 504
    default_code = "timed_out"


MODEL_BUSY = sentence("The model is busy. Try again in a minute.")


def internal_error() -> PlatformError:
    return PlatformError(
        "Something went wrong on our side. Try again; if it keeps happening, contact your "
        "administrator."
    )


def nothing_here() -> NotFound:
    return NotFound("There is nothing here.")


def agent_unavailable() -> Unavailable:
    return Unavailable(
        "Your agent is not responding right now. Try again in a moment.",
        code="agent_unavailable",
        retry_after_seconds=5,
    )


def billing_unavailable() -> Unavailable:
    return Unavailable(
        "Billing is not responding right now. Try again in a moment.", code="billing_unavailable"
    )


def model_failed() -> UpstreamFailed:
    return UpstreamFailed(
        "The model gave no answer. Try again, or rephrase your message.", code="model_failed"
    )


def model_busy() -> RateLimited:
    return RateLimited(MODEL_BUSY, retry_after_seconds=60)


def budget_spent_midway() -> BudgetSpent:
    """The budget was spent during an answer."""
    return BudgetSpent("Your budget is spent. It renews with the next period.")


def _english(name: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_ms"):
        return f"on {datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d at %H:%M} UTC"
    return f"{value:,}"
