"""Hashes that need SECRET_KEY to compute: for values to look up, but never to read back.

Cryptography only: no database and no settings.
"""

import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class KeyedHash:
    """HMAC-SHA256 with a separate key for each purpose (HKDF, RFC 5869)."""

    def __init__(self, purpose: str, secret_key: str, *previous: str) -> None:
        self._keys = [_derive(key, purpose) for key in (secret_key, *previous) if key]

    def make(self, text: str) -> str:
        """Return the hash to store, under the newest SECRET_KEY."""
        return _hash(self._keys[0], text)

    def candidates(self, text: str) -> list[str]:
        """Return the hashes that may be stored for the text, under the previous SECRET_KEY too."""
        return [_hash(key, text) for key in self._keys]


@lru_cache(maxsize=16)
def _derive(secret_key: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(
        secret_key.encode()
    )


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
