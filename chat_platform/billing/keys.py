"""Creates BillingKeys: derived where the gateway has no database, and encrypted at rest.

Cryptography only: no database, no gateway, no settings.
"""

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chat_platform.values.ids import AccountId

KEY_PREFIX = "sk-acct"

_SUBKEY_PURPOSE = b"billing-key"
_SEAL_PURPOSE = b"billing-key-at-rest"


class SealBroken(Exception):
    """No known SECRET_KEY decrypts the key: SECRET_KEY was lost, or the text was changed."""


def derive_subkey(secret_key: str) -> bytes:
    """Return the key that signs derived BillingKeys (HKDF-SHA256, RFC 5869); 32 bytes.

    The gateway's key check gets only this: SECRET_KEY cannot be computed from it.
    """
    return _hkdf(secret_key, _SUBKEY_PURPOSE)


def derive_key(subkey: bytes, account_id: AccountId, version: int) -> str:
    """Return the account's BillingKey of this version: `sk-acct-<account>-<version>-<hmac>`."""
    claim = f"{KEY_PREFIX}-{account_id}-{version}"
    return f"{claim}-{hmac.new(subkey, claim.encode(), hashlib.sha256).hexdigest()}"


class KeySeal:
    """Encrypts keys at rest; decrypts those of any previous SECRET_KEY."""

    def __init__(self, secret_key: str, *previous: str) -> None:
        self._fernet = MultiFernet([_fernet(key) for key in (secret_key, *previous) if key])

    def seal(self, key: str) -> str:
        return self._fernet.encrypt(key.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the key. Raises SealBroken."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as exc:
            raise SealBroken("a billing key can't be opened with any known SECRET_KEY") from exc

    def renew(self, sealed: str) -> str:
        """Return the same key encrypted with the newest SECRET_KEY. Raises SealBroken."""
        return self.seal(self.open(sealed))


@lru_cache(maxsize=8)
def _fernet(secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_hkdf(secret_key, _SEAL_PURPOSE)))


def _hkdf(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret_key.encode())
