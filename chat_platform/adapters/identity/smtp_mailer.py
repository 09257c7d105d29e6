"""Sends mail through the operator's SMTP server: `smtp[s]://user:password@host:port?from=...`."""

from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from chat_platform.errors import Unavailable

_SECONDS = 20


class SmtpMailer:
    """`smtp://` upgrades to TLS where the server offers it; `smtps://` is TLS from the start."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port
        self._uses_tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        given = parse_qs(parts.query).get("from")
        self._sender = given[0] if given else self._user or f"no-reply@{self._host}"

    async def send(self, to: str, *, subject: str, text: str) -> None:
        """Raises Unavailable when the server cannot be reached or refuses."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message.set_content(text)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._uses_tls,
                timeout=_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise Unavailable(
                "The mail server is not responding. Try again in a moment.",
                code="mail_unavailable",
            ) from exc
