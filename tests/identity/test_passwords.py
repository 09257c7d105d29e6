"""How passwords are hashed and checked."""

import asyncio

import pytest

from chat_platform.errors import Invalid
from chat_platform.identity.passwords import PasswordHasher, ensure_strong


async def test_hashes_are_argon2id_with_the_promised_parameters():
    stored = await PasswordHasher().hash("password123")

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_same_password_never_hashes_alike():
    hasher = PasswordHasher(memory_kib=64, rounds=1)

    assert await hasher.hash("password123") != await hasher.hash("password123")


async def test_right_and_wrong_passwords_are_told_apart():
    hasher = PasswordHasher(memory_kib=64, rounds=1)
    stored = await hasher.hash("пароль 123")

    assert await hasher.check("пароль 123", stored) == (True, None)
    assert await hasher.check("пароль 124", stored) == (False, None)


async def test_raised_parameters_give_a_new_hash():
    stored = await PasswordHasher(memory_kib=64, rounds=1).hash("password123")
    stronger = PasswordHasher(memory_kib=128, rounds=1)

    is_right, newer = await stronger.check("password123", stored)

    assert is_right
    assert newer is not None
    assert "m=128" in newer


async def test_without_a_hash_no_password_is_right():
    hasher = PasswordHasher(memory_kib=64, rounds=1)

    for guess in ("", "password123", "the password of nobody"):
        assert await hasher.check(guess, None) == (False, None)


async def test_a_crowd_of_checks_does_not_hold_up_the_event_loop():
    hasher = PasswordHasher()
    stored = await hasher.hash("password123")
    crowd = asyncio.gather(*(hasher.check("wrong", stored) for _ in range(8)))
    ticks = 0

    while not crowd.done():
        await asyncio.sleep(0.001)
        ticks += 1

    await crowd
    assert ticks > 8


@pytest.mark.parametrize("password", ["8letters", "x" * 72, "п" * 36])
def test_passwords_of_a_good_length_are_taken(password: str):
    ensure_strong(password)


@pytest.mark.parametrize("password", ["", "7letter", "x" * 73, "п" * 37])
def test_passwords_too_short_or_too_long_are_refused(password: str):
    with pytest.raises(Invalid):
        ensure_strong(password)
