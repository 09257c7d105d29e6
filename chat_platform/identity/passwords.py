"""Hashes and checks passwords, off the event loop and a few at a time. Knows no account."""

from functools import cached_property, partial

from anyio import CapacityLimiter, to_thread
from passlib.context import CryptContext

from chat_platform.errors import FieldError, Invalid

MIN_CHARACTERS = 8
MAX_BYTES = 72
"""What bcrypt can tell apart: the same limit with every identity provider."""


def ensure_strong(password: str) -> None:
    """Raise Invalid `weak_password` when the password is too short or too long."""
    if len(password) < MIN_CHARACTERS:
        raise _weak(f"Use a password of at least {MIN_CHARACTERS} characters.")
    if len(password.encode()) > MAX_BYTES:
        raise _weak(f"Use a password of at most {MAX_BYTES} bytes.")


def _weak(words: str) -> Invalid:
    return Invalid(words, code="weak_password", fields=(FieldError("password", words),))


class PasswordHasher:
    """Argon2id through passlib's API, in threads that a crowd of wrong logins cannot multiply."""

    def __init__(self, *, memory_kib: int = 19_456, rounds: int = 2, at_once: int = 2) -> None:
        self._context = CryptContext(
            schemes=["argon2"],
            argon2__type="ID",
            argon2__memory_cost=memory_kib,
            argon2__rounds=rounds,
            argon2__parallelism=1,
        )
        self._limiter = CapacityLimiter(at_once)

    async def hash(self, password: str) -> str:
        return await to_thread.run_sync(self._context.hash, password, limiter=self._limiter)

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is right, and its new hash when the parameters have risen.

        Without a stored hash the same work is done against a decoy: the time tells nothing.
        """
        is_right, newer = await to_thread.run_sync(
            partial(self._check, password, stored), limiter=self._limiter
        )
        return (is_right, newer) if stored else (False, None)

    def _check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        # A checked password may be of any length; what argon2 reads of it may not.
        return self._context.verify_and_update(password[: MAX_BYTES + 1], stored or self._decoy)

    @cached_property
    def _decoy(self) -> str:
        return self._context.hash("the password of nobody")
