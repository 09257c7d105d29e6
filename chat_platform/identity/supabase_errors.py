"""Translates what Supabase Auth answers into our errors, once for every call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import structlog
from supabase_auth.errors import AuthApiError, AuthError, AuthWeakPasswordError

from chat_platform.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotAllowed,
    NotSignedIn,
    PlatformError,
    RateLimited,
    Unavailable,
)

log = structlog.get_logger()

_RETRY_SECONDS = 60


@contextmanager
def translated() -> Iterator[None]:
    """Run calls to Supabase; an answer that nobody expects is an outage, not a wrong password."""
    try:
        yield
    except AuthWeakPasswordError as exc:
        raise _weak(exc) from exc
    except AuthApiError as exc:
        raise _from_api(exc) from exc
    except (AuthError, httpx.HTTPError) as exc:
        log.warning("identity.unreachable", error=type(exc).__name__)
        raise unavailable() from exc


def unavailable() -> Unavailable:
    return Unavailable(
        "Signing in does not work right now. Try again.", code="identity_unavailable"
    )


def wrong_password() -> NotSignedIn:
    return NotSignedIn(
        "The e-mail address or the password is not right.", code="invalid_credentials"
    )


def invalid_code() -> NotSignedIn:
    return NotSignedIn(
        "This code is not right, or too old. Ask for a new one.", code="invalid_code"
    )


def email_taken() -> Conflict:
    return Conflict(
        "This address has an account already. Sign in, or reset your password.", code="email_taken"
    )


def _from_api(exc: AuthApiError) -> PlatformError:
    known = _BY_CODE.get(exc.code or "")
    if known:
        return known()
    if exc.status == 429:
        return _too_often()
    # A key that Supabase refuses is 401 without a code: the operator's to mend, not the person's.
    log.error("identity.refused", status=exc.status, code=exc.code)
    return unavailable()


def _weak(exc: AuthWeakPasswordError) -> Invalid:
    reasons = ", ".join(reason.replace("_", " ") for reason in exc.reasons)
    words = f"Choose a stronger password ({reasons})." if reasons else "Choose a stronger password."
    return Invalid(words, code="weak_password", fields=(FieldError("password", words),))


def _same_password() -> Invalid:
    words = "Choose a password that you did not have before."
    return Invalid(words, code="weak_password", fields=(FieldError("password", words),))


def _invalid_email() -> Invalid:
    words = "Enter an e-mail address that can receive mail."
    return Invalid(words, code="invalid_email", fields=(FieldError("email", words),))


def _not_confirmed() -> NotAllowed:
    return NotAllowed("Confirm your address first: see our e-mail.", code="email_not_confirmed")


def _banned() -> NotAllowed:
    return NotAllowed("This account is disabled. Ask an administrator.", code="account_disabled")


def _closed() -> NotAllowed:
    return NotAllowed("Registration is closed.", code="registration_closed")


def _too_often() -> RateLimited:
    return RateLimited(
        "That was too often. Wait a little and try again.",
        code="too_many_attempts",
        retry_after_seconds=_RETRY_SECONDS,
    )


_BY_CODE: dict[str, Callable[[], PlatformError]] = {
    "user_already_exists": email_taken,
    "email_exists": email_taken,
    "invalid_credentials": wrong_password,
    "otp_expired": invalid_code,
    "same_password": _same_password,
    "email_address_invalid": _invalid_email,
    "email_not_confirmed": _not_confirmed,
    "user_banned": _banned,
    "signup_disabled": _closed,
    "email_provider_disabled": _closed,
    "over_request_rate_limit": _too_often,
    "over_email_send_rate_limit": _too_often,
}
