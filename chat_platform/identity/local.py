"""The embedded identity provider: password hashes in our own accounts table."""

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from chat_platform.db import reading, transaction
from chat_platform.errors import Conflict, NotSignedIn
from chat_platform.identity.one_time_codes import CODE_MINUTES, make_code, use_code
from chat_platform.identity.passwords import PasswordHasher
from chat_platform.ids import new_id
from chat_platform.models import Account
from chat_platform.ports import Identity, Mailer

RESET = "reset"
"""The purpose of codes that allow a new password."""

_RESET_MAIL = {
    "en": (
        "Your code for a new password",
        "Enter this code to choose a new password: {code}\n\n"
        "It is good for {minutes} minutes. If you did not ask for it, do nothing.\n",
    ),
    "ru": (
        "Ваш код для нового пароля",
        "Введите этот код, чтобы выбрать новый пароль: {code}\n\n"
        "Он действует {minutes} минут. Если вы его не запрашивали, ничего не делайте.\n",
    ),
}


class LocalIdentity:
    """Keeps identities as rows of `accounts`: the subject is the account's own id."""

    name = "embedded"

    def __init__(
        self,
        engine: AsyncEngine,
        hasher: PasswordHasher | None = None,
        mailer: Mailer | None = None,
    ) -> None:
        self._engine = engine
        self._hasher = hasher or PasswordHasher()
        self._mailer = mailer
        self.sends_mail = mailer is not None

    async def register(self, email: str, password: str, *, name: str) -> Identity | None:
        """Make the account; raises Conflict `email_taken`."""
        account_id = new_id()
        account = Account(
            id=account_id,
            email=email,
            name=name,
            auth_provider=self.name,
            auth_subject=account_id,
            password_hash=await self._hasher.hash(password),
        )
        try:
            async with transaction(self._engine) as session:
                session.add(account)
        except IntegrityError as exc:
            raise Conflict(
                "This address has an account already. Sign in, or reset your password.",
                code="email_taken",
            ) from exc
        return Identity(account_id, email, name)

    async def check_password(self, email: str, password: str) -> Identity:
        """Raises NotSignedIn `invalid_credentials`, after the same work for unknown addresses."""
        account = await self._find_by_email(email)
        await self._ensure_right(account, password)
        assert account is not None
        return Identity(account.auth_subject, account.email, account.name)

    async def change_password(self, subject: str, *, current: str, new: str) -> None:
        """Raises NotSignedIn `invalid_credentials` when `current` is wrong."""
        await self._ensure_right(await self._find(col(Account.auth_subject) == subject), current)
        await self._store(subject, await self._hasher.hash(new))

    async def send_reset(self, email: str) -> None:
        """Mail a code; without a mail server the administrator's command issues one instead."""
        account = await self._find_by_email(email)
        if account is None or self._mailer is None:
            return
        code = await make_code(self._engine, account.id, purpose=RESET)
        subject, text = _RESET_MAIL["ru" if account.language == "ru" else "en"]
        await self._mailer.send(
            email, subject=subject, text=text.format(code=code, minutes=CODE_MINUTES)
        )

    async def reset_password(self, email: str, code: str, new: str) -> Identity:
        """Raises NotSignedIn `invalid_code`, the same for unknown addresses."""
        account = await self._find_by_email(email)
        account_id = account.id if account else ""
        if not await use_code(self._engine, account_id, code, purpose=RESET) or account is None:
            raise NotSignedIn(
                "This code is not right, or too old. Ask for a new one.", code="invalid_code"
            )
        await self._store(account.auth_subject, await self._hasher.hash(new))
        return Identity(account.auth_subject, account.email, account.name)

    async def delete(self, subject: str) -> None:
        """Forget the password: the account's row is the platform's to delete."""
        await self._store(subject, None)

    async def _find_by_email(self, email: str) -> Account | None:
        return await self._find(col(Account.email) == email)

    async def _find(self, condition: object) -> Account | None:
        query = select(Account).where(col(Account.auth_provider) == self.name, condition)  # pyright: ignore[reportArgumentType, reportCallIssue]
        async with reading(self._engine) as session:
            return (await session.exec(query)).one_or_none()

    async def _ensure_right(self, account: Account | None, password: str) -> None:
        stored = account.password_hash if account else None
        is_right, newer_hash = await self._hasher.check(password, stored)
        if account is None or not is_right:
            raise NotSignedIn(
                "The e-mail address or the password is not right.", code="invalid_credentials"
            )
        if newer_hash:
            await self._store(account.auth_subject, newer_hash)

    async def _store(self, subject: str, password_hash: str | None) -> None:
        async with transaction(self._engine) as session:
            await session.exec(
                update(Account)
                .where(
                    col(Account.auth_provider) == self.name, col(Account.auth_subject) == subject
                )
                .values(password_hash=password_hash)
            )
