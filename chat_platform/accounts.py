"""Who has an account, and what it says about them. Knows no password and no credential."""

import unicodedata

import email_validator
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import Conflict, FieldError, Invalid, NotFound
from chat_platform.ids import AccountId
from chat_platform.models import Account
from chat_platform.ports import Identity

MAX_EMAIL_CHARACTERS = 254
MAX_NAME_CHARACTERS = 200
LANGUAGES = ("", "en", "ru")
THEMES = ("system", "light", "dark")

# Companies and test beds do use names such as `.local` and `.test`; the list is meant to be edited.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def normalise_email(address: str) -> str:
    """Return the one spelling under which the address is stored and looked up.

    Raises Invalid `invalid_email`.
    """
    try:
        valid = email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError as exc:
        words = "Enter an e-mail address such as name@example.com."
        raise Invalid(words, code="invalid_email", fields=(FieldError("email", words),)) from exc
    # Not casefold(): it takes ß for ss, and one person's reset code would go to another.
    return unicodedata.normalize("NFC", valid.normalized.lower())


def tidy_name(name: str) -> str:
    """Return the name on one line without control characters.

    Raises Invalid when it is too long.
    """
    shown = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    tidy = " ".join(shown.split())
    if len(tidy) > MAX_NAME_CHARACTERS:
        words = f"Use a name of at most {MAX_NAME_CHARACTERS} characters."
        raise Invalid(words, code="invalid_name", fields=(FieldError("name", words),))
    return tidy


async def account_for(ctx: AppContext, identity: Identity) -> Account:
    """Return the account of an identity that was just proven; made at its first sign-in.

    Raises Conflict `email_taken` when another identity holds the address: two providers'
    identities are never joined by the address alone.
    """
    known = await find_account(ctx, identity)
    if known:
        return await _follow_email(ctx, known, identity)
    try:
        async with transaction(ctx.engine) as session:
            made = Account(
                email=identity.email,
                name=identity.name,
                auth_provider=ctx.identity.name,
                auth_subject=identity.subject,
            )
            session.add(made)
    except IntegrityError as exc:
        # Two first sign-ins at once: the other one has made it.
        known = await find_account(ctx, identity)
        if known is None:
            raise email_taken() from exc
        return known
    return made


async def find_account(ctx: AppContext, identity: Identity) -> Account | None:
    query = select(Account).where(
        col(Account.auth_provider) == ctx.identity.name,
        col(Account.auth_subject) == identity.subject,
    )
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one_or_none()


def email_taken() -> Conflict:
    return Conflict(
        "This address has an account already. Sign in, or reset your password.", code="email_taken"
    )


async def get_account(ctx: AppContext, account_id: str) -> Account:
    """Raises NotFound."""
    async with reading(ctx.engine) as session:
        return await load_account(session, account_id)


async def load_account(session: AsyncSession, account_id: str) -> Account:
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
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
    _ensure_one_of("language", language, LANGUAGES)
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
        words = f"Use one of: {', '.join(word or '(empty)' for word in allowed)}."
        raise Invalid(words, code=f"invalid_{field}", fields=(FieldError(field, words),))


async def _follow_email(ctx: AppContext, account: Account, identity: Identity) -> Account:
    """Take over an address that was changed at the provider."""
    if account.email == identity.email:
        return account
    try:
        async with transaction(ctx.engine) as session:
            changed = await load_account(session, account.id)
            changed.email = identity.email
            session.add(changed)
    except IntegrityError as exc:
        raise email_taken() from exc
    return changed
