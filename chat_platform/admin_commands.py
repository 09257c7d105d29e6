"""The operator's commands about people: make an administrator, issue a reset code."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform import audit
from chat_platform.accounts import normalise_email
from chat_platform.db import open_engine, reading, transaction
from chat_platform.errors import Conflict, NotFound, PlatformError
from chat_platform.identity.local import RESET, LocalIdentity
from chat_platform.identity.one_time_codes import CODE_MINUTES, make_code
from chat_platform.models import Account
from chat_platform.settings import SettingsError, load_settings

T = TypeVar("T")

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]


def make_admin(email: Email) -> None:
    """Make a registered person an administrator."""
    _run(lambda engine: promote(engine, email))
    typer.echo(f"{email} is an administrator now.")


def reset_code(email: Email) -> None:
    """Print a one-time code with which a person may choose a new password."""
    code = _run(lambda engine: issue_reset_code(engine, email))
    typer.echo(f"{code}\nGood for {CODE_MINUTES} minutes, once, on the page /reset.")


async def promote(engine: AsyncEngine, email: str) -> None:
    """Raises NotFound, Invalid."""
    async with transaction(engine) as session:
        account = await _account_of(session, email)
        account.role = "admin"
        session.add(account)
        audit.record(session, actor_id=None, action="account.made_admin", subject_id=account.id)


async def issue_reset_code(engine: AsyncEngine, email: str) -> str:
    """Raises NotFound, Invalid, and Conflict for accounts whose password is kept elsewhere."""
    async with reading(engine) as session:
        account = await _account_of(session, email)
    if account.auth_provider != LocalIdentity.name:
        raise Conflict(f"{account.auth_provider} keeps this password and sends its own codes.")
    return await make_code(engine, account.id, purpose=RESET)


async def _account_of(session: AsyncSession, email: str) -> Account:
    query = select(Account).where(col(Account.email) == normalise_email(email))
    account = (await session.exec(query)).one_or_none()
    if account is None:
        raise NotFound(f"Nobody is registered as {email}.")
    return account


def _run(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Run the work on the configured database; a failure ends the command with one clear line."""

    async def with_engine() -> T:
        engine = open_engine(load_settings().database)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(with_engine())
    except (PlatformError, SettingsError) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
