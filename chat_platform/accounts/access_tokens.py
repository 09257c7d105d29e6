"""Writes and reads our access tokens (JWT). Uses no table and calls no service."""

from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chat_platform.errors import NotSignedIn
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId

ISSUER = "chat-platform"
AUDIENCE = "chat-platform-api"
_CLAIMS = ["iss", "aud", "iat", "exp", "sub", "sid", "token_version"]


@dataclass(frozen=True)
class AccessClaims:
    """The claims of a genuine access token. Only the database tells whether it is still valid."""

    account_id: AccountId
    sign_in_id: str
    token_version: int


def issue(settings: Settings, claims: AccessClaims) -> str:
    now = now_ms() // 1000
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + settings.jwt_expire_minutes * 60,
        "sub": claims.account_id,
        "sid": claims.sign_in_id,
        "token_version": claims.token_version,
    }
    key = _signing_key(settings.secret_key.get_secret_value())
    return jwt.encode(payload, key, algorithm=settings.jwt_algorithm)


def is_ours(token: str) -> bool:
    """Tell whether the token claims to be ours, without verifying it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return True
    return claims.get("iss") == ISSUER


def read(settings: Settings, token: str) -> AccessClaims:
    """Raises NotSignedIn: `token_expired`, or `invalid_token` for any other problem."""
    secrets = (settings.secret_key, settings.secret_key_previous)
    keys = [_signing_key(s.get_secret_value()) for s in secrets if s.get_secret_value()]
    for key in keys:
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[settings.jwt_algorithm],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": _CLAIMS},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as exc:
            raise token_expired() from exc
        except jwt.InvalidTokenError as exc:
            raise invalid_token() from exc
        return AccessClaims(
            AccountId(str(payload["sub"])), str(payload["sid"]), int(payload["token_version"])
        )
    raise invalid_token()


def token_expired() -> NotSignedIn:
    return NotSignedIn("Your access has expired. Sign in again.", code="token_expired")


def invalid_token() -> NotSignedIn:
    return NotSignedIn("This credential is not valid. Sign in again.", code="invalid_token")


def _signing_key(secret: str) -> bytes:
    """Derive the key for this purpose only, long enough for every HMAC in JWT_ALGORITHM."""
    return HKDF(SHA256(), length=64, salt=None, info=b"access-token").derive(secret.encode())
