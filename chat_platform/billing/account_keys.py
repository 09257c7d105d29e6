"""The BillingKey of each account: created when first needed, encrypted at rest, replaceable."""

from sqlalchemy import update
from sqlmodel import col, select

from chat_platform.billing.keys import KeySeal, SealBroken
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotFound
from chat_platform.models import Account
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId


async def key_of(ctx: AppContext, account_id: AccountId) -> tuple[int, str]:
    """Return the version and text of the account's BillingKey, creating it if there is none.

    Raises NotFound, Unavailable, UpstreamFailed.
    """
    account = await _account(ctx, account_id)
    version = account.billing_key_version
    if account.billing_key_encrypted:
        try:
            return version, _seal(ctx.settings).open(account.billing_key_encrypted)
        except SealBroken:
            # SECRET_KEY was lost: the gateway creates a new key for the account.
            pass
    key = await ctx.billing.open_account(account_id, key_version=version)
    await _keep(ctx, account_id, version, key)
    return version, key


async def replace_key(ctx: AppContext, account_id: AccountId) -> None:
    """Replace the account's BillingKey with a new one; calls in flight end normally."""
    version = (await _account(ctx, account_id)).billing_key_version + 1
    key = await ctx.billing.replace_key(account_id, key_version=version)
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Account)
            .where(col(Account.id) == account_id)
            .values(billing_key_version=version, billing_key_encrypted=None)
        )
    await _keep(ctx, account_id, version, key)


async def _account(ctx: AppContext, account_id: AccountId) -> Account:
    async with reading(ctx.engine) as session:
        account = (await session.exec(select(Account).where(Account.id == account_id))).first()
    if account is None:
        raise no_account()
    return account


def no_account() -> NotFound:
    return NotFound("There is no such account.")


async def _keep(ctx: AppContext, account_id: AccountId, version: int, key: str) -> None:
    """Store the encrypted key; derived keys are not stored, since they can be derived again."""
    if not ctx.settings.litellm_has_database:
        return
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Account)
            .where(col(Account.id) == account_id, col(Account.billing_key_version) == version)
            .values(billing_key_encrypted=_seal(ctx.settings).seal(key))
        )


def _seal(settings: Settings) -> KeySeal:
    return KeySeal(
        settings.secret_key.get_secret_value(), settings.secret_key_previous.get_secret_value()
    )
