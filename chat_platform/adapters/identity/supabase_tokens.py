"""Verifies Supabase's own access tokens here, without asking Supabase about each."""

import time
from typing import Any

import httpx
import jwt
from anyio import CapacityLimiter, to_thread
from jwt import PyJWKClient, PyJWKClientConnectionError, PyJWKClientError
from jwt.exceptions import PyJWKSetError

from chat_platform.accounts.access_tokens import invalid_token, token_expired
from chat_platform.accounts.refusals import identity_unavailable
from chat_platform.ports import Identity
from chat_platform.settings import Settings

_KEY_ALGORITHMS = ["ES256", "RS256", "EdDSA"]
_SECRET_ALGORITHMS = ["HS256"]
_AUDIENCE = "authenticated"
_FETCH_TIMEOUT_SECONDS = 5
_REFETCH_SECONDS = 30.0
"""How often, at most, an unknown key is looked up, whatever tokens arrive."""
_RETRY_SECONDS = 5.0
_UNKNOWN_PERSON = frozenset({401, 403, 404})


class SupabaseTokens:
    """Verifies with the project's published keys (JWKS), or with its secret if configured.

    Never with whatever the token's header asks for: keys only with key algorithms, and the secret
    only with HMAC.
    """

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        *,
        refetch_seconds: float = _REFETCH_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._issuer = f"{settings.supabase_url.rstrip('/')}/auth/v1"
        self._public_key = settings.supabase_anon_key.get_secret_value()
        self._secret = settings.supabase_jwt_secret.get_secret_value()
        self._http = http
        self._keys = _PublishedKeys(
            f"{self._issuer}/.well-known/jwks.json",
            retry_seconds=retry_seconds,
            timeout=_FETCH_TIMEOUT_SECONDS,
            cooldown_duration=refetch_seconds,
        )
        # Fetching the keys blocks: it must not use up the shared threads.
        self._limiter = CapacityLimiter(4)

    async def identity_of(self, token: str) -> Identity:
        """Raises NotSignedIn `token_expired`, `invalid_token`; Unavailable without the keys."""
        claims = await self._claims(token)
        email, subject = claims.get("email"), claims.get("sub")
        is_person = claims.get("role") == _AUDIENCE and not claims.get("is_anonymous")
        if not is_person or not isinstance(email, str) or not email or not subject:
            raise invalid_token()
        return Identity(str(subject), email.lower(), "")

    async def ensure_current(self, token: str) -> None:
        """Ask Supabase whether the person still exists, which the token alone cannot tell.

        Raises NotSignedIn `invalid_token`, Unavailable.
        """
        headers = {"apikey": self._public_key, "Authorization": f"Bearer {token}"}
        try:
            answer = await self._http.get(f"{self._issuer}/user", headers=headers)
        except httpx.HTTPError as exc:
            raise identity_unavailable() from exc
        if answer.status_code in _UNKNOWN_PERSON:
            raise invalid_token()
        if not answer.is_success:
            raise identity_unavailable()

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            return await to_thread.run_sync(self._decode, token, limiter=self._limiter)
        except jwt.ExpiredSignatureError as exc:
            raise token_expired() from exc
        except PyJWKClientConnectionError as exc:
            raise identity_unavailable() from exc
        except (jwt.InvalidTokenError, PyJWKClientError) as exc:
            raise invalid_token() from exc

    def _decode(self, token: str) -> dict[str, Any]:
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm in _SECRET_ALGORITHMS:
            if not self._secret:
                raise jwt.InvalidAlgorithmError("no secret is configured")
            key, algorithms = self._secret, _SECRET_ALGORITHMS
        elif algorithm in _KEY_ALGORITHMS:
            key, algorithms = self._keys.get_signing_key_from_jwt(token), _KEY_ALGORITHMS
        else:
            raise jwt.InvalidAlgorithmError("not one that Supabase signs with")
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


class _PublishedKeys(PyJWKClient):
    """Caches the keys for five minutes, and does not retry right after a failure.

    Otherwise every token that arrives during an outage would wait for the timeout.
    """

    def __init__(self, uri: str, *, retry_seconds: float, **options: Any) -> None:
        super().__init__(uri, **options)
        self._retry_seconds = retry_seconds
        self._failed_at = float("-inf")
        self._failure: type[PyJWKClientError] = PyJWKClientConnectionError

    def fetch_data(self) -> Any:
        """Raises PyJWKClientConnectionError, or PyJWKClientError for a project without keys."""
        if time.monotonic() - self._failed_at < self._retry_seconds:
            raise self._failure("asked a moment ago")
        try:
            return super().fetch_data()
        except PyJWKSetError as exc:
            raise self._failed(PyJWKClientError) from exc
        # Invalid JSON is a ValueError, a connection that breaks midway an OSError.
        except (PyJWKClientError, ValueError, OSError) as exc:
            raise self._failed(PyJWKClientConnectionError) from exc

    def _failed(self, failure: type[PyJWKClientError]) -> PyJWKClientError:
        self._failed_at, self._failure = time.monotonic(), failure
        return failure("the keys cannot be had")
