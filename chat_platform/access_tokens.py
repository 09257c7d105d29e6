"""Writes and reads our access tokens (JWT). Knows no table and asks nobody."""

from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chat_platform.clock import now_ms
from chat_platform.errors import NotSignedIn
from chat_platform.ids import AccountId
from chat_platform.settings import Settings

ISSUER = "chat-platform"
AUDIENCE = "chat-platform-api"
_CLAIMS = ["iss", "aud", "iat", "exp", "sub", "sid", "token_version"]


@dataclass(frozen=True)
class AccessClaims:
    """What a genuine access token says; whether it still holds is for the database to tell."""

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
    """Tell whether the token claims to be ours; nothing of it is believed yet."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return True
    return claims.get("iss") == ISSUER


def read(settings: Settings, token: str) -> AccessClaims:
    """Raises NotSignedIn: `token_expired`, or `invalid_token` whatever else is wrong with it."""
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
            raise NotSignedIn(
                "Your access has expired. Sign in again.", code="token_expired"
            ) from exc
        except jwt.InvalidTokenError as exc:
            raise invalid_token() from exc
        return AccessClaims(
            AccountId(str(payload["sub"])), str(payload["sid"]), int(payload["token_version"])
        )
    raise invalid_token()


def invalid_token() -> NotSignedIn:
    return NotSignedIn("This credential is not valid. Sign in again.", code="invalid_token")


def _signing_key(secret: str) -> bytes:
    """Derive the key of this purpose alone, long enough for every HMAC in JWT_ALGORITHM."""
    return HKDF(SHA256(), length=64, salt=None, info=b"access-token").derive(secret.encode())
