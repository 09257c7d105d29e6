"""Signs people in and out, and tells who is calling. One policy for every door and credential."""

from dataclasses import dataclass

import structlog
from starlette.requests import cookie_parser

from chat_platform import access_tokens, api_tokens, rate_limits, sign_ins
from chat_platform.access_tokens import AccessClaims, invalid_token
from chat_platform.accounts import account_for, find_account, normalise_email, tidy_name
from chat_platform.attempts import attempt
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    NotSignedIn,
    PlatformError,
    RateLimited,
)
from chat_platform.identity.passwords import ensure_strong
from chat_platform.ids import AccountId
from chat_platform.models import Account
from chat_platform.ports import AddressConfirmation, ForeignTokens, Identity
from chat_platform.sign_ins import SignedIn, Visit

log = structlog.get_logger()

COOKIE = "chat_sign_in"


@dataclass(frozen=True)
class Caller:
    """Who is calling. `scopes` is None for the person themself, a set for an ApiToken."""

    account: Account
    scopes: frozenset[str] | None = None
    sign_in_id: str | None = None

    @property
    def account_id(self) -> AccountId:
        return AccountId(self.account.id)

    def has_scope(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes


async def register(
    ctx: AppContext, *, email: str, password: str, name: str, visit: Visit
) -> SignedIn | None:
    """Make an account and sign in; None when the address must be confirmed first.

    Raises Conflict `email_taken`, Invalid, RateLimited, Unavailable.
    """
    address, shown_name = normalise_email(email), tidy_name(name)
    ensure_strong(password)
    await ctx.limits.take(rate_limits.REGISTRATIONS_FROM_ADDRESS, "register", visit.address)
    identity = await ctx.identity.register(address, password, name=shown_name)
    if identity is None:
        return None
    account = await account_for(ctx, identity)
    return await sign_ins.open_sign_in(ctx, account, visit)


async def login(ctx: AppContext, *, email: str, password: str, visit: Visit) -> SignedIn:
    """Raises NotSignedIn `invalid_credentials`, NotAllowed, RateLimited, Unavailable."""
    address = normalise_email(email)
    async with attempt(ctx, email=address, address=visit.address):
        identity = await ctx.identity.check_password(address, password)
    account = await account_for(ctx, identity)
    ensure_welcome(account)
    return await sign_ins.open_sign_in(ctx, account, visit)


async def resend_confirmation(ctx: AppContext, email: str, *, address: str) -> None:
    """Send the confirmation code again. Raises NotFound where addresses are not confirmed."""
    confirmation = _confirmation(ctx)
    email = normalise_email(email)
    await ctx.limits.take(rate_limits.RESETS_FROM_ADDRESS, "confirm", address)
    await ctx.limits.take(rate_limits.RESETS_FOR_ACCOUNT, "confirm", email)
    try:
        await confirmation.resend(email)
    except RateLimited as exc:
        # Told apart from "sent", this would tell which addresses wait.
        log.warning("confirmation.not_sent", code=exc.code)


async def confirm(ctx: AppContext, *, email: str, code: str, visit: Visit) -> SignedIn:
    """Confirm an address and sign in; raises NotSignedIn `invalid_code`, NotFound."""
    confirmation = _confirmation(ctx)
    email = normalise_email(email)
    async with attempt(ctx, email=email, address=visit.address):
        identity = await confirmation.confirm(email, code)
    account = await account_for(ctx, identity)
    ensure_welcome(account)
    return await sign_ins.open_sign_in(ctx, account, visit)


async def refresh(ctx: AppContext, refresh_token: str) -> SignedIn:
    """Swap a refresh token for its successor; raises NotSignedIn, NotAllowed."""
    signed_in = await sign_ins.swap_refresh_token(ctx, refresh_token)
    if signed_in is None:
        raise invalid_token()
    ensure_welcome(signed_in.account)
    return signed_in


def access_token(ctx: AppContext, signed_in: SignedIn) -> str:
    account = signed_in.account
    claims = AccessClaims(AccountId(account.id), signed_in.sign_in_id, account.token_version)
    return access_tokens.issue(ctx.settings, claims)


async def caller_from_bearer(ctx: AppContext, token: str) -> Caller:
    """Return who holds this access token or ApiToken.

    Raises NotSignedIn, and NotAllowed `account_disabled`.
    """
    if token.startswith(api_tokens.PREFIX):
        return await _caller_from_api_token(ctx, token)
    if ctx.foreign_tokens and not access_tokens.is_ours(token):
        return await _caller_from_foreign_token(ctx, ctx.foreign_tokens, token)
    claims = access_tokens.read(ctx.settings, token)
    found = await sign_ins.find_by_id(ctx, claims.sign_in_id)
    if found is None:
        raise invalid_token()
    sign_in, account = found
    if (account.id, account.token_version) != (claims.account_id, claims.token_version):
        raise invalid_token()
    ensure_welcome(account)
    await sign_ins.note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


async def caller_from_cookie(ctx: AppContext, cookie_header: str) -> Caller | None:
    """Return who is signed in in this browser now, or None. Asked again at every event."""
    secret = cookie_parser(cookie_header).get(COOKIE, "")
    found = await sign_ins.find_by_cookie(ctx, secret) if secret else None
    if found is None:
        return None
    sign_in, account = found
    try:
        ensure_welcome(account)
    except PlatformError:
        return None
    await sign_ins.note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


def ensure_welcome(account: Account) -> None:
    """Raise when the person has proven who they are but may not come in."""
    if account.deleting_at_ms is not None:
        raise NotSignedIn("This account is being deleted.", code="account_deleted")
    if account.disabled_at_ms is not None:
        raise NotAllowed("This account is disabled. Ask an administrator.", code="account_disabled")


def _confirmation(ctx: AppContext) -> AddressConfirmation:
    if ctx.confirmation is None:
        raise NotFound("Addresses are not confirmed here.")
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
    """Make the account of somebody who never signed in through us.

    A deleted person's token stays genuine until it expires: it must not bring them back.
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
        raise NotSignedIn("This token has expired. Make a new one.", code="token_expired")
    ensure_welcome(account)
    return Caller(account, frozenset(row.scopes.split()))
