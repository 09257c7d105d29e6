"""The embedded identity provider: password hashes in our own accounts table."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from chat_platform.accounts.refusals import invalid_code, invalid_credentials
from chat_platform.adapters.identity.one_time_codes import CODE_MINUTES, make_code, use_code
from chat_platform.adapters.identity.passwords import PasswordHasher
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account
from chat_platform.ports import Identity, Mailer
from chat_platform.values.ids import AccountId, new_id
from chat_platform.web.i18n import words_in

RESET = "reset"
"""The purpose of password reset codes."""


class LocalIdentity:
    """Keeps identities as rows of `accounts`."""

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
        """Return an identity that takes effect with its account's row, which `accounts` creates."""
        return Identity(new_id(), email, name, password_hash=await self._hasher.hash(password))

    async def check_password(self, email: str, password: str) -> Identity:
        """Raises NotSignedIn `invalid_credentials`; does the same work for unknown addresses."""
        account = await self._find_by_email(email)
        await self._ensure_right(account, password)
        assert account is not None
        return Identity(account.auth_subject, account.email, account.name)

    async def change_password(self, subject: str, *, current: str, new: str) -> None:
        """Raises NotSignedIn `invalid_credentials` when `current` is wrong."""
        await self._ensure_right(await self._find(col(Account.auth_subject) == subject), current)
        await self._store(subject, await self._hasher.hash(new))

    async def send_reset(self, email: str) -> None:
        """Send a code by email; without a mail server the operator's command issues one instead."""
        account = await self._find_by_email(email)
        if account is None or self._mailer is None:
            return
        code = await make_code(self._engine, account.id, purpose=RESET)
        say = words_in(account.language)
        text = say(
            "Enter this code to choose a new password: {code}\n\nIt is valid for {minutes} "
            "minutes. If you did not request it, you can ignore this email.\n",
            code=code,
            minutes=CODE_MINUTES,
        )
        await self._mailer.send(email, subject=say("Your password reset code"), text=text)

    async def reset_password(self, email: str, code: str, new: str) -> Identity:
        """Raises NotSignedIn `invalid_code`, the same for unknown addresses."""
        account = await self._find_by_email(email)
        account_id = account.id if account else AccountId("")
        if not await use_code(self._engine, account_id, code, purpose=RESET) or account is None:
            raise invalid_code()
        await self._store(account.auth_subject, await self._hasher.hash(new))
        return Identity(account.auth_subject, account.email, account.name)

    async def delete(self, subject: str) -> None:
        """Delete the password; the platform itself deletes the account's row."""
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
            raise invalid_credentials()
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
