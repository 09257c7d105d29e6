"""The operator's commands for people: administrators, invitations, reset codes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import audit, invitations
from chat_platform.accounts.invitations import link_to
from chat_platform.accounts.setup_code import renew_setup_code
from chat_platform.adapters.identity.local import RESET, LocalIdentity
from chat_platform.adapters.identity.one_time_codes import CODE_MINUTES, make_code
from chat_platform.database.engine import open_engine, reading, transaction
from chat_platform.errors import Conflict, Invalid, NotFound, PlatformError
from chat_platform.models import Account
from chat_platform.settings import SettingsError, load_settings
from chat_platform.values.addresses import normalise_email
from chat_platform.values.money import to_nano_usd
from chat_platform.values.periods import end_of, is_period, parts_of

T = TypeVar("T")

Email = Annotated[str, typer.Argument(help="The person's email address.")]


def make_admin(email: Email) -> None:
    """Make a registered person an administrator."""
    _run(lambda engine: promote(engine, email))
    typer.echo(f"{email} is an administrator now.")


def reset_code(email: Email) -> None:
    """Print a one-time code that lets a person choose a new password."""
    code = _run(lambda engine: issue_reset_code(engine, email))
    typer.echo(f"{code}\nEnter it at /reset within {CODE_MINUTES} minutes. It works once.")


def invite(
    budget: Annotated[
        str, typer.Option(help="The account's budget for each period, in US dollars.")
    ] = "",
    expires: Annotated[str, typer.Option(help="When the invitation expires: 7d, 12h.")] = "7d",
    email: Annotated[str, typer.Option(help="The only address that may use it.")] = "",
) -> None:
    """Print an invitation that lets one person register, by link or code."""
    code = _run(lambda engine: make_invitation(engine, budget=budget, expires=expires, email=email))
    link = link_to(load_settings().public_url, code)
    typer.echo(f"{code}\n{link}\nIt works once and expires in {expires}.")


def setup_code() -> None:
    """Print a new one-time code that makes somebody an administrator; older ones stop working."""
    code = _run(lambda engine: renew_setup_code(engine, load_settings()))
    typer.echo(f"{code}\nIt works once. Enter it when you register, or in the settings.")


async def make_invitation(engine: AsyncEngine, *, budget: str, expires: str, email: str) -> str:
    """Return the code of a new invitation. Raises Invalid."""
    async with transaction(engine) as session:
        made = await invitations.invite(
            session,
            load_settings(),
            actor_id=None,
            budget_nano_usd=_amount(budget) if budget else None,
            expires_in_ms=_length_ms(expires),
            email=email or None,
        )
    return made.code


def _amount(budget: str) -> int:
    try:
        return to_nano_usd(budget)
    except ValueError as exc:
        raise Invalid("--budget must be an amount such as 5 or 2.50.") from exc


def _length_ms(period: str) -> int:
    if not is_period(period) or parts_of(period)[1] == "mo":
        raise Invalid("--expires must look like 7d or 12h.")
    return end_of(period, 0)


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
        raise Conflict(
            "{provider} manages this password and sends its own codes.",
            values={"provider": account.auth_provider},
        )
    return await make_code(engine, account.id, purpose=RESET)


async def _account_of(session: AsyncSession, email: str) -> Account:
    query = select(Account).where(col(Account.email) == normalise_email(email))
    account = (await session.exec(query)).one_or_none()
    if account is None:
        raise NotFound("Nobody is registered as {email}.", values={"email": email})
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
