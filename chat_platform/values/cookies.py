"""Reads cookies as browsers send them, including those of other applications on the same host.

Knows the name and attributes of the sign-in cookie, but nothing of its content.
"""

from starlette.requests import cookie_parser
from starlette.responses import Response

PLAIN_SIGN_IN_COOKIE = "chat_sign_in"
"""The sign-in over plain HTTP; formerly over HTTPS too."""
HOST_SIGN_IN_COOKIE = "__Host-chat_sign_in"
"""The sign-in over HTTPS: browsers let only this host set it, and require Secure."""


def cookies_of(header: str) -> dict[str, str]:
    """Return the values by name; malformed parts do not hide other cookies.

    If a name occurs more than once, the first wins: browsers send the most specific path first.
    """
    # Starlette's parser ends a cookie at every semicolon, as browsers do; Werkzeug's and Python's
    # let one broken cookie swallow others. In Starlette's the last one wins.
    return cookie_parser(";".join(reversed(header.split(";"))))


def sign_in_secret(header: str) -> str:
    """Return the secret of the sign-in, or an empty string.

    Another host in the same domain can set the plain cookie, so it is ignored when the other one
    is present.
    """
    cookies = cookies_of(header)
    if HOST_SIGN_IN_COOKIE in cookies:
        return cookies[HOST_SIGN_IN_COOKIE]
    return cookies.get(PLAIN_SIGN_IN_COOKIE, "")


def set_sign_in_cookie(reply: Response, secret: str, *, scheme: str, seconds: int) -> None:
    """Set the sign-in cookie, and delete the one of the other name."""
    is_https = scheme == "https"
    name = HOST_SIGN_IN_COOKIE if is_https else PLAIN_SIGN_IN_COOKIE
    reply.set_cookie(
        name, secret, max_age=seconds, path="/", httponly=True, samesite="lax", secure=is_https
    )
    if is_https:
        reply.delete_cookie(PLAIN_SIGN_IN_COOKIE, path="/")


def delete_sign_in_cookie(reply: Response, *, scheme: str) -> None:
    reply.delete_cookie(PLAIN_SIGN_IN_COOKIE, path="/")
    if scheme == "https":
        # Browsers ignore cookies with such a name unless they are Secure.
        reply.delete_cookie(HOST_SIGN_IN_COOKIE, path="/", secure=True, httponly=True)


def is_signed_in_by_old_name(header: str) -> bool:
    """True if only the plain cookie came: over HTTPS it should get its new name."""
    cookies = cookies_of(header)
    return PLAIN_SIGN_IN_COOKIE in cookies and HOST_SIGN_IN_COOKIE not in cookies
