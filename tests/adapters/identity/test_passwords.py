"""How passwords are hashed and checked."""

import asyncio

import pytest
from passlib.context import CryptContext

from chat_platform.adapters.identity.passwords import PasswordHasher


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


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ("caf\u00e9 au lait", "cafe\u0301 au lait"),
        ("one two three", "one\u00a0two\u3000three"),
        ("й" * 40, "и\u0306" * 40),
    ],
)
async def test_passwords_that_look_the_same_are_the_same(stored: str, given: str):
    hasher = PasswordHasher(memory_kib=64, rounds=1)

    assert (await hasher.check(given, await hasher.hash(stored)))[0]


async def test_a_hash_from_before_that_rule_still_opens_and_is_renewed():
    hasher = PasswordHasher(memory_kib=64, rounds=1)
    raw = "cafe\u0301 au lait"
    stored = CryptContext(schemes=["argon2"], argon2__memory_cost=64, argon2__rounds=1).hash(raw)

    is_right, newer = await hasher.check(raw, stored)

    assert is_right
    assert newer is not None
    assert (await hasher.check("caf\u00e9 au lait", newer))[0]


async def test_every_character_of_a_long_password_counts():
    hasher = PasswordHasher(memory_kib=64, rounds=1)
    stored = await hasher.hash("п" * 999 + "a")

    assert (await hasher.check("п" * 999 + "a", stored))[0]
    assert not (await hasher.check("п" * 999 + "b", stored))[0]
    assert not (await hasher.check("п" * 999 + "a" * 100_000, stored))[0]
