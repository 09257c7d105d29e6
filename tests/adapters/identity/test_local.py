"""Embedded accounts: what the provider does that its API tests can't see."""

from dataclasses import replace

import pytest

from chat_platform.accounts.profiles import account_for
from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.adapters.identity.passwords import PasswordHasher
from chat_platform.context import AppContext
from chat_platform.errors import Conflict, NotSignedIn
from chat_platform.models import Account

PASSWORD = "correct horse battery"


class CountingHasher(PasswordHasher):
    """Remembers every verification that it really made."""

    def __init__(self, *, memory_kib: int = 64) -> None:
        super().__init__(memory_kib=memory_kib, rounds=1)
        self.verified: list[str] = []

    def _check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        outcome = super()._check(password, stored)
        self.verified.append(password)
        return outcome


async def register(ctx: AppContext, identity: LocalIdentity, password: str = PASSWORD) -> Account:
    registered = await identity.register("alice@example.com", password, name="")
    assert registered is not None
    return await account_for(replace(ctx, identity=identity), registered)


async def test_unknown_addresses_run_the_same_check_as_known_ones(ctx: AppContext):
    hasher = CountingHasher()
    identity = LocalIdentity(ctx.engine, hasher)
    await register(ctx, identity)

    for email in ("alice@example.com", "nobody@example.com"):
        with pytest.raises(NotSignedIn):
            await identity.check_password(email, "a wrong one")

    assert hasher.verified == ["a wrong one", "a wrong one"]


async def test_signing_in_renews_a_hash_whose_parameters_have_risen(ctx: AppContext):
    weak = LocalIdentity(ctx.engine, CountingHasher(memory_kib=64))
    strong = LocalIdentity(ctx.engine, CountingHasher(memory_kib=128))
    await register(ctx, weak)

    await strong.check_password("alice@example.com", PASSWORD)

    hasher = PasswordHasher(memory_kib=128, rounds=1)
    account = await strong._find_by_email("alice@example.com")
    assert account is not None
    assert await hasher.check(PASSWORD, account.password_hash) == (True, None)


async def test_two_who_register_one_address_at_once_are_one_account(ctx: AppContext):
    identity = LocalIdentity(ctx.engine, CountingHasher())
    await register(ctx, identity)

    with pytest.raises(Conflict):
        await register(ctx, identity, "another password")

    await identity.check_password("alice@example.com", PASSWORD)


async def test_a_deleted_identitys_password_is_forgotten(ctx: AppContext):
    identity = LocalIdentity(ctx.engine, CountingHasher())
    alice = await register(ctx, identity)

    await identity.delete(alice.auth_subject)

    with pytest.raises(NotSignedIn):
        await identity.check_password("alice@example.com", PASSWORD)
