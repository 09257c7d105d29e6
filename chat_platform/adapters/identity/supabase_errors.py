"""Translates what Supabase Auth answers into our errors, once for every call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import structlog
from supabase_auth.errors import AuthApiError, AuthError, AuthWeakPasswordError

from chat_platform.accounts.password_rule import weak_password
from chat_platform.accounts.refusals import (
    account_disabled,
    email_not_confirmed,
    email_taken,
    identity_unavailable,
    invalid_code,
    invalid_credentials,
    registration_closed,
)
from chat_platform.errors import Invalid, PlatformError, RateLimited
from chat_platform.process.rate_limits import too_many_attempts
from chat_platform.values.addresses import invalid_email

log = structlog.get_logger()

_RETRY_SECONDS = 60


@contextmanager
def translated() -> Iterator[None]:
    """Run calls to Supabase; an unexpected response is an outage, not a wrong password."""
    try:
        yield
    except AuthWeakPasswordError as exc:
        raise _weak(exc) from exc
    except AuthApiError as exc:
        raise _from_api(exc) from exc
    except (AuthError, httpx.HTTPError) as exc:
        log.warning("identity.unreachable", error=type(exc).__name__)
        raise identity_unavailable() from exc


def _from_api(exc: AuthApiError) -> PlatformError:
    known = _BY_CODE.get(exc.code or "")
    if known:
        return known()
    if exc.status == 429:
        return _too_often()
    # A key that Supabase refuses is 401 without a code: for the operator to fix, not the person.
    log.error("identity.refused", status=exc.status, error=exc.code)
    return identity_unavailable()


def _weak(exc: AuthWeakPasswordError) -> Invalid:
    known = (_WEAK[reason] for reason in exc.reasons if reason in _WEAK)
    return next(known, weak_password)()


def _same_password() -> Invalid:
    return Invalid(
        "Choose a password that you have not used before.", code="weak_password", field="password"
    )


def _too_often() -> RateLimited:
    return too_many_attempts(_RETRY_SECONDS)


_WEAK: dict[str, Callable[[], Invalid]] = {
    "length": lambda: Invalid("Choose a longer password.", code="weak_password", field="password"),
    "characters": lambda: Invalid(
        "Choose a password with capital and small letters, digits and other characters.",
        code="weak_password",
        field="password",
    ),
    "pwned": lambda: Invalid(
        "This password has appeared in a data leak. Choose a different one.",
        code="weak_password",
        field="password",
    ),
}
"""Supabase's reasons for refusing a password."""
_BY_CODE: dict[str, Callable[[], PlatformError]] = {
    "user_already_exists": email_taken,
    "email_exists": email_taken,
    "invalid_credentials": invalid_credentials,
    "otp_expired": invalid_code,
    "same_password": _same_password,
    "email_address_invalid": invalid_email,
    "email_not_confirmed": email_not_confirmed,
    "user_banned": account_disabled,
    "signup_disabled": registration_closed,
    "email_provider_disabled": registration_closed,
    "over_request_rate_limit": _too_often,
    "over_email_send_rate_limit": _too_often,
}
