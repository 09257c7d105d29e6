"""What a new password must be."""

import asyncio
from typing import Literal

import pytest
from pydantic import SecretStr

from chat_platform.accounts.password_rule import ensure_strong
from chat_platform.errors import Invalid
from chat_platform.settings import Settings

Kind = Literal["development", "test", "production"]


def running_as(environment: Kind) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment=environment,
        secret_key=SecretStr("s" * 40),
    )


@pytest.mark.parametrize("environment", ["development", "test", "production"])
@pytest.mark.parametrize("password", ["", "7letter", "x" * 1001])
async def test_too_short_or_too_long_is_refused_everywhere(environment: Kind, password: str):
    with pytest.raises(Invalid, match="characters"):
        await ensure_strong(running_as(environment), password)


@pytest.mark.parametrize("password", ["password123", "password", "12345678", "x" * 1000])
async def test_in_development_the_length_alone_counts(password: str):
    await ensure_strong(running_as("development"), password)


@pytest.mark.parametrize(
    "password",
    [
        *("password", "password123", "12345678", "qwertyuiop", "Passw0rd!", "abcabcabcabc"),
        *("ada.lovelace@example.com", "ada.lovelace", "Lovelace1", "chatplatform"),
        *("aaaaaaaaaaaaaaaaaaaa", "2024-11-25", "iloveyou1"),
    ],
)
@pytest.mark.parametrize("environment", ["test", "production"])
async def test_elsewhere_what_is_easily_guessed_is_refused(environment: Kind, password: str):
    with pytest.raises(Invalid, match="hard to guess") as refused:
        await ensure_strong(
            running_as(environment), password, about=("ada.lovelace@example.com", "Ada Lovelace")
        )

    assert refused.value.code == "weak_password"


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "три разных слова", "п" * 20 + " и ещё несколько слов", "9fK!2mQz#7"],
)
async def test_other_passwords_of_any_composition_are_taken(password: str):
    await ensure_strong(running_as("production"), password, about=("ada@example.com", "Ada"))


async def test_the_longest_password_and_name_do_not_hold_up_the_event_loop():
    judged = asyncio.create_task(
        ensure_strong(running_as("test"), "ab1!" * 250, about=("x" * 20_000, "y" * 20_000))
    )
    ticks = 0

    while not judged.done():
        await asyncio.sleep(0.001)
        ticks += 1

    await asyncio.gather(judged, return_exceptions=True)
    assert ticks > 1
