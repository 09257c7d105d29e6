"""Verifies Supabase's own access tokens here, without asking Supabase about each."""

import asyncio
from typing import Any

import jwt
from jwt import PyJWKClient, PyJWKClientConnectionError, PyJWKClientError

from chat_platform.errors import NotSignedIn
from chat_platform.identity.supabase_errors import unavailable
from chat_platform.ports import Identity
from chat_platform.settings import Settings

_KEY_ALGORITHMS = ["ES256", "RS256", "EdDSA"]
_SECRET_ALGORITHMS = ["HS256"]
_AUDIENCE = "authenticated"


class SupabaseTokens:
    """By the project's published keys (JWKS), or by its secret where that is configured.

    Never by whatever the token's header asks for: keys sign only with key algorithms, and the
    secret only with HMAC.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuer = f"{settings.supabase_url.rstrip('/')}/auth/v1"
        self._secret = settings.supabase_jwt_secret.get_secret_value()
        self._keys = PyJWKClient(f"{self._issuer}/.well-known/jwks.json", timeout=5)

    async def identity_of(self, token: str) -> Identity:
        """Raises NotSignedIn `token_expired`, `invalid_token`; Unavailable without the keys."""
        claims = await self._claims(token)
        email, subject = claims.get("email"), claims.get("sub")
        is_person = claims.get("role") == _AUDIENCE and not claims.get("is_anonymous")
        if not is_person or not isinstance(email, str) or not email or not subject:
            raise _invalid()
        return Identity(str(subject), email.casefold(), "")

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            # Fetching the keys blocks, once in a while.
            return await asyncio.to_thread(self._decode, token)
        except jwt.ExpiredSignatureError as exc:
            raise NotSignedIn(
                "Your access has expired. Sign in again.", code="token_expired"
            ) from exc
        except PyJWKClientConnectionError as exc:
            raise unavailable() from exc
        except (jwt.InvalidTokenError, PyJWKClientError) as exc:
            raise _invalid() from exc

    def _decode(self, token: str) -> dict[str, Any]:
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm in _SECRET_ALGORITHMS:
            if not self._secret:
                raise jwt.InvalidAlgorithmError("no secret is configured")
            key, algorithms = self._secret, _SECRET_ALGORITHMS
        else:
            key, algorithms = self._keys.get_signing_key_from_jwt(token), _KEY_ALGORITHMS
        claims = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=_AUDIENCE,
            options={"require": ["exp", "sub", "aud"]},
        )
        if claims.get("iss", self._issuer) != self._issuer:
            raise jwt.InvalidIssuerError("another project's token")
        return claims


def _invalid() -> NotSignedIn:
    return NotSignedIn("This credential is not valid. Sign in again.", code="invalid_token")
