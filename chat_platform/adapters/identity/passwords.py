"""Hashes and checks passwords, off the event loop and a few at a time. Knows no account."""

from functools import cached_property, partial

from anyio import CapacityLimiter, to_thread
from passlib.context import CryptContext

from chat_platform.accounts.password_rule import MAX_CHARACTERS, spelt_alike


class PasswordHasher:
    """Argon2id through passlib's API, in a fixed number of threads however many people log in."""

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
        spelt = spelt_alike(password)
        return await to_thread.run_sync(self._context.hash, spelt, limiter=self._limiter)

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is correct, and return a new hash if it should be replaced.

        Without a stored hash the same work is done against a decoy, so that timing reveals nothing.
        """
        is_right, newer = await to_thread.run_sync(
            partial(self._check, password, stored), limiter=self._limiter
        )
        return (is_right, newer) if stored else (False, None)

    def _check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        # A password to check may have any length; argon2 reads only a limited part.
        given = password[: MAX_CHARACTERS + 1]
        spelt = spelt_alike(given)
        is_right, newer = self._context.verify_and_update(spelt, stored or self._decoy)
        if is_right or spelt == given:
            return is_right, newer
        # Hashes from before passwords were normalised.
        is_right = self._context.verify(given, stored or self._decoy)
        return is_right, self._context.hash(spelt) if is_right else None

    @cached_property
    def _decoy(self) -> str:
        return self._context.hash("the password of nobody")
