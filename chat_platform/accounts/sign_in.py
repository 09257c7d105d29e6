"""Signs people in and out, and identifies callers. One policy for all credentials and entrances."""

from dataclasses import dataclass

import structlog

from chat_platform.accounts import access_tokens, api_tokens, sign_in_rows
from chat_platform.accounts.access_tokens import AccessClaims, invalid_token
from chat_platform.accounts.attempts import attempt
from chat_platform.accounts.open_readers import Credential
from chat_platform.accounts.password_rule import ensure_strong
from chat_platform.accounts.profiles import account_for, find_account, tidy_name
from chat_platform.accounts.refusals import account_deleted, account_disabled
from chat_platform.accounts.registration import NO_PAPERS, Papers, ensure_welcome_to_register
from chat_platform.accounts.sign_in_rows import SignedIn, Visit
from chat_platform.context import AppContext
from chat_platform.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    NotSignedIn,
    PlatformError,
    RateLimited,
)
from chat_platform.models import Account
from chat_platform.ports import AddressConfirmation, ForeignTokens, Identity
from chat_platform.process import rate_limits
from chat_platform.values.addresses import new_email, normalise_email
from chat_platform.values.clock import now_ms
from chat_platform.values.cookies import sign_in_secret
from chat_platform.values.ids import AccountId

log = structlog.get_logger()


@dataclass(frozen=True)
class Caller:
    """The caller. `scopes` is None for the person, a set for an ApiToken."""

    account: Account
    scopes: frozenset[str] | None = None
    sign_in_id: str | None = None
    api_token_id: str | None = None

    @property
    def credential(self) -> Credential:
        return Credential(self.account_id, self.sign_in_id, self.api_token_id)

    @property
    def account_id(self) -> AccountId:
        return self.account.id

    def has_scope(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes


async def register(
    ctx: AppContext,
    *,
    email: str,
    password: str,
    name: str,
    visit: Visit,
    papers: Papers = NO_PAPERS,
) -> SignedIn | None:
    """Create an account and sign in; None if the address must be confirmed first.

    Raises Conflict `email_taken`, Invalid, NotAllowed, RateLimited, Unavailable.
    """
    address, shown_name = new_email(email), tidy_name(name)
    await ensure_strong(ctx.settings, password, about=(address, shown_name))
    await _limit_registrations(ctx, visit.address)
    await ensure_welcome_to_register(ctx, address, papers)
    identity = await ctx.identity.register(address, password, name=shown_name)
    if identity is None:
        return None
    account = await account_for(ctx, identity, papers)
    return await sign_in_rows.open_sign_in(ctx, account, visit)


async def _limit_registrations(ctx: AppContext, address: str) -> None:
    """Narrowest first, so that one address alone cannot exhaust everybody's limit."""
    in_all, from_address = ctx.settings.registration_limits
    await ctx.limits.take(rate_limits.per_hour(from_address), "register", address)
    await ctx.limits.take(rate_limits.per_hour(in_all), "register")


async def login(ctx: AppContext, *, email: str, password: str, visit: Visit) -> SignedIn:
    """Raises NotSignedIn `invalid_credentials`, NotAllowed, RateLimited, Unavailable."""
    address = normalise_email(email)
    async with attempt(ctx, email=address, address=visit.address):
        identity = await ctx.identity.check_password(address, password)
    account = await account_for(ctx, identity)
    ensure_welcome(account)
    return await sign_in_rows.open_sign_in(ctx, account, visit)


async def resend_confirmation(ctx: AppContext, email: str, *, address: str) -> None:
    """Send the confirmation code again. Raises NotFound if addresses are not confirmed here."""
    confirmation = _confirmation(ctx)
    email = normalise_email(email)
    await ctx.limits.take(rate_limits.RESETS_FROM_ADDRESS, "confirm", address)
    await ctx.limits.take(rate_limits.RESETS_FOR_ACCOUNT, "confirm", email)
    try:
        await confirmation.resend(email)
    except RateLimited as exc:
        # A different response would reveal which addresses are waiting.
        log.warning("confirmation.not_sent", error=exc.code)


async def confirm(ctx: AppContext, *, email: str, code: str, visit: Visit) -> SignedIn:
    """Confirm an address and sign in; raises NotSignedIn `invalid_code`, NotFound."""
    confirmation = _confirmation(ctx)
    email = normalise_email(email)
    async with attempt(ctx, email=email, address=visit.address):
        identity = await confirmation.confirm(email, code)
    account = await account_for(ctx, identity)
    ensure_welcome(account)
    return await sign_in_rows.open_sign_in(ctx, account, visit)


async def refresh(ctx: AppContext, refresh_token: str) -> SignedIn:
    """Exchange a refresh token for its successor; raises NotSignedIn, NotAllowed."""
    signed_in = await sign_in_rows.swap_refresh_token(ctx, refresh_token)
    if signed_in is None:
        raise invalid_token()
    ensure_welcome(signed_in.account)
    return signed_in


def access_token(ctx: AppContext, signed_in: SignedIn) -> str:
    account = signed_in.account
    claims = AccessClaims(account.id, signed_in.sign_in_id, account.token_version)
    return access_tokens.issue(ctx.settings, claims)


async def caller_from_bearer(ctx: AppContext, token: str) -> Caller:
    """Return the holder of this access token or ApiToken.

    Raises NotSignedIn, and NotAllowed `account_disabled`.
    """
    if token.startswith(api_tokens.PREFIX):
        return await _caller_from_api_token(ctx, token)
    if ctx.foreign_tokens and not access_tokens.is_ours(token):
        return await _caller_from_foreign_token(ctx, ctx.foreign_tokens, token)
    claims = access_tokens.read(ctx.settings, token)
    found = await sign_in_rows.find_by_id(ctx, claims.sign_in_id)
    if found is None:
        raise invalid_token()
    sign_in, account = found
    if (account.id, account.token_version) != (claims.account_id, claims.token_version):
        raise invalid_token()
    ensure_welcome(account)
    await sign_in_rows.note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


async def caller_from_cookie(ctx: AppContext, cookie_header: str) -> Caller | None:
    """Return who is signed in in this browser, or None. Checked again at every event."""
    secret = sign_in_secret(cookie_header)
    found = await sign_in_rows.find_by_cookie(ctx, secret) if secret else None
    if found is None:
        return None
    sign_in, account = found
    try:
        ensure_welcome(account)
    except PlatformError:
        return None
    await sign_in_rows.note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


def ensure_welcome(account: Account) -> None:
    """Raise NotAllowed for a verified person who may not sign in."""
    if account.deleting_at_ms is not None:
        raise account_deleted()
    if account.disabled_at_ms is not None:
        raise account_disabled()


def _confirmation(ctx: AppContext) -> AddressConfirmation:
    if ctx.confirmation is None:
        raise NotFound("Email confirmation is not used here.")
    return ctx.confirmation


async def _caller_from_foreign_token(
    ctx: AppContext, foreign_tokens: ForeignTokens, token: str
) -> Caller:
    identity = await foreign_tokens.identity_of(token)
    account = await find_account(ctx, identity) or await _first_visit(
        ctx, foreign_tokens, identity, token
    )
    ensure_welcome(account)
    return Caller(account)


async def _first_visit(
    ctx: AppContext, foreign_tokens: ForeignTokens, identity: Identity, token: str
) -> Account:
    """Create the account of somebody who has never signed in through us.

    A deleted person's token stays valid until it expires: it must not restore them.
    """
    await foreign_tokens.ensure_current(token)
    try:
        return await account_for(ctx, identity)
    except Conflict as exc:
        raise NotAllowed(exc.message, code=exc.code) from exc


async def _caller_from_api_token(ctx: AppContext, token: str) -> Caller:
    found = await api_tokens.find_token(ctx, token)
    if found is None:
        raise invalid_token()
    row, account = found
    if row.expires_at_ms is not None and row.expires_at_ms <= now_ms():
        raise NotSignedIn("This token has expired. Create a new one.", code="token_expired")
    ensure_welcome(account)
    return Caller(account, frozenset(row.scopes.split()), api_token_id=row.id)
