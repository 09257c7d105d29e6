"""Why a sign-in or a registration is refused.

REST, the sign-in pages and every identity provider share these errors. Those pages show an error by
its code alone: each code has one message here.
"""

from chat_platform.errors import Conflict, NotAllowed, NotSignedIn, Unavailable, sentence

DOMAIN_NOT_ALLOWED = sentence(
    "Addresses from this domain cannot register here. Use a different address."
)


def invalid_credentials() -> NotSignedIn:
    return NotSignedIn("Incorrect email address or password.", code="invalid_credentials")


def invalid_code() -> NotSignedIn:
    return NotSignedIn(
        "This code is incorrect or has expired. Request a new one.", code="invalid_code"
    )


def email_taken() -> Conflict:
    return Conflict(
        "An account with this address already exists. Sign in, or reset your password.",
        code="email_taken",
    )


def email_not_confirmed() -> NotAllowed:
    return NotAllowed(
        "Confirm your email address first: open the link in the email we sent you.",
        code="email_not_confirmed",
    )


def account_disabled() -> NotAllowed:
    return NotAllowed(
        "This account is disabled. Contact your administrator.", code="account_disabled"
    )


def account_deleted() -> NotSignedIn:
    return NotSignedIn("Your account is being deleted.", code="account_deleted")


def registration_closed() -> NotAllowed:
    return NotAllowed(
        "Registration is closed here. Contact your administrator.", code="registration_closed"
    )


def invitation_needed() -> NotAllowed:
    return NotAllowed(
        "You need a valid invitation to register here: unused, not expired, and not for another "
        "address. Ask your administrator for one.",
        code="invitation_needed",
        field="invitation",
    )


def domain_not_allowed() -> NotAllowed:
    return NotAllowed(DOMAIN_NOT_ALLOWED, code="domain_not_allowed", field="email")


def identity_unavailable() -> Unavailable:
    return Unavailable(
        "Sign-in is not available right now. Try again in a moment.", code="identity_unavailable"
    )


def cross_site() -> NotAllowed:
    return NotAllowed(
        "This request came from another site. Open this site and try again.", code="cross_site"
    )
