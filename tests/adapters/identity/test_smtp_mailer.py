"""Mail through a real SMTP conversation, and its failures."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_string, policy

import pytest

from chat_platform.adapters.identity.smtp_mailer import SmtpMailer
from chat_platform.errors import Unavailable


class Mailbox:
    """A small SMTP server that takes one message after another."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            if line.upper() == "DATA":
                writer.write(b"354 go on\r\n")
                data = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.received.append(data)
            writer.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 ok\r\n")
            await writer.drain()
            if line.upper() == "QUIT":
                break
        writer.close()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.start_server(box.talk, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box


async def test_a_mail_arrives_as_it_was_written(mailbox: Mailbox):
    mailer = SmtpMailer(f"smtp://127.0.0.1:{mailbox.port}?from=chat@example.com")

    await mailer.send("alice@example.com", subject="Ваш код", text="Введите K7QM-22XR-9FAT")

    (raw,) = mailbox.received
    mail = message_from_string(raw, policy=policy.default)
    assert (mail["From"], mail["To"]) == ("chat@example.com", "alice@example.com")
    assert mail["Subject"] == "Ваш код"
    assert "K7QM-22XR-9FAT" in mail.get_content()


async def test_a_mail_server_that_is_down_is_an_outage():
    with pytest.raises(Unavailable):
        await SmtpMailer("smtp://127.0.0.1:9").send("alice@example.com", subject="s", text="t")


async def test_an_address_cannot_smuggle_headers(mailbox: Mailbox):
    mailer = SmtpMailer(f"smtp://127.0.0.1:{mailbox.port}")

    with pytest.raises(ValueError, match="linefeed"):
        await mailer.send("a@example.com\r\nBcc: b@example.com", subject="s", text="t")

    assert mailbox.received == []
