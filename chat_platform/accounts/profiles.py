"""Accounts and their profiles. Knows nothing of passwords and credentials."""

from collections.abc import Collection
from typing import Literal, get_args

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import registration
from chat_platform.accounts.refusals import email_taken
from chat_platform.accounts.registration import NO_PAPERS, Papers
from chat_platform.billing.account_keys import no_account
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Invalid
from chat_platform.models import Account
from chat_platform.ports import Identity
from chat_platform.values.addresses import mailbox_of
from chat_platform.values.ids import AccountId
from chat_platform.values.languages import LANGUAGE_CHOICES
from chat_platform.values.texts import tidy_line

MAX_NAME_CHARACTERS = 200
Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)


def tidy_name(name: str) -> str:
    """Return the name on one line, "" if nothing in it is visible.

    Raises Invalid if it is too long or has characters that nobody types.
    """
    tidy = tidy_line(name, field="name")
    if len(tidy) > MAX_NAME_CHARACTERS:
        raise Invalid(
            "Use a name of at most {most} characters.",
            values={"most": MAX_NAME_CHARACTERS},
            code="invalid_name",
            field="name",
        )
    return tidy


async def welcome_among(ctx: AppContext, account_ids: Collection[AccountId]) -> set[AccountId]:
    """Return which of the accounts are neither disabled nor deleted."""
    query = select(col(Account.id)).where(
        col(Account.id).in_(account_ids),
        col(Account.disabled_at_ms).is_(None),
        col(Account.deleting_at_ms).is_(None),
    )
    async with reading(ctx.engine) as session:
        return set(await session.exec(query))


async def account_for(ctx: AppContext, identity: Identity, papers: Papers = NO_PAPERS) -> Account:
    """Return the account of a verified identity; created at its first sign-in.

    Raises Conflict `email_taken` when another identity holds the address: two providers'
    identities are never joined by the address alone. Raises NotAllowed where `registration`
    does not admit a new one.
    """
    known = await find_account(ctx, identity)
    if known:
        return await _follow_email(ctx, known, identity)
    try:
        return await _make_account(ctx, identity, papers)
    except IntegrityError as exc:
        # Two first sign-ins at once: the other one created it.
        known = await find_account(ctx, identity)
        if known is None:
            raise email_taken() from exc
        return known


async def _make_account(ctx: AppContext, identity: Identity, papers: Papers) -> Account:
    """The only place where accounts are created."""
    made = Account(
        email=identity.email,
        mailbox=_mailbox(ctx, identity.email),
        name=_name_of(identity),
        auth_provider=ctx.identity.name,
        auth_subject=identity.subject,
        password_hash=identity.password_hash,
    )
    async with transaction(ctx.engine) as session:
        session.add(made)
        await session.flush()
        await registration.admit(session, ctx.settings, made, papers)
    return made


def _name_of(identity: Identity) -> str:
    """Return the name that the identity provider has; "" for one that would be refused here."""
    try:
        return tidy_name(identity.name)
    except Invalid:
        return ""


def _mailbox(ctx: AppContext, email: str) -> str | None:
    """Return the mailbox, which must be unique; None in development, to allow several accounts."""
    return None if ctx.settings.is_development else mailbox_of(email)


async def find_account(ctx: AppContext, identity: Identity) -> Account | None:
    query = select(Account).where(
        col(Account.auth_provider) == ctx.identity.name,
        col(Account.auth_subject) == identity.subject,
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one_or_none()


async def get_account(ctx: AppContext, account_id: AccountId) -> Account:
    """Raises NotFound."""
    async with reading(ctx.engine) as session:
        return await load_account(session, account_id)


async def load_account(session: AsyncSession, account_id: AccountId) -> Account:
    account = await session.get(Account, account_id)
    if account is None:
        raise no_account()
    return account


async def change_profile(
    ctx: AppContext,
    account_id: AccountId,
    *,
    name: str | None = None,
    language: str | None = None,
    theme: str | None = None,
) -> Account:
    """Change what is not None; raises Invalid."""
    _ensure_one_of("language", language, LANGUAGE_CHOICES)
    _ensure_one_of("theme", theme, THEMES)
    async with transaction(ctx.engine) as session:
        account = await load_account(session, account_id)
        account.name = account.name if name is None else tidy_name(name)
        account.language = account.language if language is None else language
        account.theme = account.theme if theme is None else theme
        session.add(account)
    return account


def _ensure_one_of(field: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise Invalid(
            "Use one of: {choices}.",
            values={"choices": ", ".join(word or "(empty)" for word in allowed)},
            code=f"invalid_{field}",
            field=field,
        )


async def _follow_email(ctx: AppContext, account: Account, identity: Identity) -> Account:
    """Take over an address that was changed at the provider."""
    if account.email == identity.email:
        return account
    try:
        async with transaction(ctx.engine) as session:
            changed = await load_account(session, account.id)
            changed.email = identity.email
            changed.mailbox = _mailbox(ctx, identity.email)
            session.add(changed)
    except IntegrityError as exc:
        raise email_taken() from exc
    return changed
