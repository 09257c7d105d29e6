"""Which addresses belong to one mailbox, and which must be kept apart."""

import pytest

from chat_platform.values.addresses import mailbox_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ada+tag@example.com"),
        ("ada@example.com", "ada+a+b@EXAMPLE.com"),
        ("ada.lovelace@gmail.com", "adalovelace+1@googlemail.com"),
        ("ada@proton.me", "a.d-a_@pm.me"),
        ("ada-l@ya.ru", "ada.l@yandex.com"),
        ("ada@yahoo.com", "ada-shop@yahoo.com"),
        ("ada@icloud.com", "ada@me.com"),
    ],
)
def test_spellings_of_one_mailbox(one: str, other: str):
    assert mailbox_of(one) == mailbox_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.da@example.com", "ada@example.com"),
        ("ada-l@example.com", "ada@example.com"),
        ("ada@example.com", "ada@example.org"),
        ("strasse@example.com", "straße@example.com"),
        ("+@example.com", "+a@example.org"),
    ],
)
def test_two_mailboxes(one: str, other: str):
    assert mailbox_of(one) != mailbox_of(other)


@pytest.mark.parametrize("strange", ["+@x.org", "+tag@x.org", "...@gmail.com", "-@yahoo.com"])
def test_a_mailbox_always_has_a_name(strange: str):
    assert mailbox_of(strange).partition("@")[0]
