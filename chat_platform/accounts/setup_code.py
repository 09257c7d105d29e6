"""The one-time code that makes its holder an administrator; shown only to the operator."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import audit
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotAllowed
from chat_platform.models import Account
from chat_platform.models.registration import Installation
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.keyed_hashes import KeyedHash
from chat_platform.values.typed_codes import letters_of, new_typed_code

_CHARACTERS = 20


async def offer_setup_code(engine: AsyncEngine, settings: Settings) -> str | None:
    """Return a new code at the first start outside development; None after that.

    Of several processes starting at once, only one gets it.
    """
    if settings.is_development:
        return None
    code = new_typed_code(_CHARACTERS)
    async with transaction(engine) as session:
        if await has_admin(session):
            return None
        is_first = col(Installation.setup_code_hash).is_(None)
        done = await session.exec(
            update(Installation).where(is_first).values(setup_code_hash=_stored(settings, code))
        )
    return code if done.rowcount == 1 else None


async def renew_setup_code(engine: AsyncEngine, settings: Settings) -> str:
    """Return a new code for an operator who lost the first; older codes stop working."""
    code = new_typed_code(_CHARACTERS)
    async with transaction(engine) as session:
        await session.exec(
            update(Installation).values(
                setup_code_hash=_stored(settings, code), setup_code_used_at_ms=None
            )
        )
        audit.record(session, actor_id=None, action="setup_code.made")
    return code


async def ensure_right(session: AsyncSession, settings: Settings, code: str) -> None:
    """Raise NotAllowed `wrong_setup_code` unless it is the unused one."""
    stored = (await session.exec(select(Installation))).one()
    known = _hashes(settings).candidates(letters_of(code))
    if stored.setup_code_hash not in known or stored.setup_code_used_at_ms is not None:
        raise wrong_setup_code()


async def use(session: AsyncSession, settings: Settings, account: Account, code: str) -> None:
    """Make the account an administrator and use the code up.

    Raises NotAllowed `wrong_setup_code`; of two at once, one wins.
    """
    hashes = _hashes(settings).candidates(letters_of(code))
    done = await session.exec(
        update(Installation)
        .where(
            col(Installation.setup_code_hash).in_(hashes),
            col(Installation.setup_code_used_at_ms).is_(None),
        )
        .values(setup_code_used_at_ms=now_ms())
    )
    if done.rowcount != 1:
        raise wrong_setup_code()
    account.role = "admin"
    session.add(account)
    audit.record(session, actor_id=account.id, action="account.made_admin", subject_id=account.id)


async def has_admin(session: AsyncSession) -> bool:
    query = select(Account.id).where(col(Account.role) == "admin").limit(1)
    return (await session.exec(query)).first() is not None


async def is_waiting(engine: AsyncEngine) -> bool:
    """True if there is an unused setup code."""
    query = select(Installation.id).where(
        col(Installation.setup_code_hash).is_not(None),
        col(Installation.setup_code_used_at_ms).is_(None),
    )
    async with reading(engine) as session:
        return (await session.exec(query)).first() is not None


def wrong_setup_code() -> NotAllowed:
    return NotAllowed(
        "This setup code is incorrect or has already been used. On the server, “chat-platform "
        "setup-code” prints a new one.",
        code="wrong_setup_code",
        field="setup_code",
    )


def _stored(settings: Settings, code: str) -> str:
    return _hashes(settings).make(letters_of(code))


def _hashes(settings: Settings) -> KeyedHash:
    return KeyedHash("setup-code", *settings.secret_keys)
