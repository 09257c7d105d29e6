"""Remembers what deleted accounts have spent, so that registering again gives no new budget.

Stored under a keyed hash of the mailbox until the period ends: until then, a new account with that
mailbox starts in the same period with the same amount spent.
"""

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.billing.period_sums import current
from chat_platform.billing.reservations import Counters, first_counters
from chat_platform.models import Account, Budget
from chat_platform.models.registration import PastSpending
from chat_platform.settings import Settings
from chat_platform.values.addresses import mailbox_of
from chat_platform.values.clock import now_ms
from chat_platform.values.keyed_hashes import KeyedHash


async def open_budget(
    session: AsyncSession, settings: Settings, account: Account, *, limit_nano_usd: int | None
) -> None:
    """Create a new account's budget, with what its person has already spent in this period.

    Without an earlier account or a limit of its own, it is created at the first call as usual.
    """
    earlier = await _take(session, settings, account.email)
    if earlier is None and limit_nano_usd is None:
        return
    counters = first_counters(
        account.id,
        limit_nano_usd=settings.default_budget_nano_usd
        if limit_nano_usd is None
        else limit_nano_usd,
        period=settings.user_budget_duration,
        now_ms=now_ms(),
    )
    if earlier:
        counters = counters._replace(
            period_start_ms=earlier.period_start_ms,
            period_end_ms=earlier.period_end_ms,
            spent_nano_usd=earlier.spent_nano_usd,
            background_spent_nano_usd=earlier.background_spent_nano_usd,
            earlier_nano_usd=earlier.spent_nano_usd,
        )
    session.add(Budget(**counters._asdict()))


async def remember(session: AsyncSession, settings: Settings, account: Account) -> bool:
    """Store what the account has spent in this period, and lock its budget's row.

    False while one of its calls is open, whose cost is unknown: try again when it has ended.
    """
    query = select(Budget).where(col(Budget.account_id) == account.id).with_for_update()
    row = (await session.exec(query)).first()
    if row is None:
        return True
    if row.open_calls:
        return False
    counters = await current(session, Counters(**row.model_dump()), now_ms())
    if not counters.spent_nano_usd:
        return True
    others = await _take(session, settings, account.email)
    session.add(
        PastSpending(
            mailbox_hash=_hashes(settings).make(mailbox_of(account.email)),
            period_start_ms=counters.period_start_ms,
            period_end_ms=max(counters.period_end_ms, others.period_end_ms if others else 0),
            spent_nano_usd=counters.spent_nano_usd + (others.spent_nano_usd if others else 0),
            background_spent_nano_usd=counters.background_spent_nano_usd
            + (others.background_spent_nano_usd if others else 0),
        )
    )
    await session.flush()
    return True


async def forget_ended(session: AsyncSession) -> None:
    """Delete the entries of periods that have ended."""
    await session.exec(delete(PastSpending).where(col(PastSpending.period_end_ms) <= now_ms()))


async def _take(session: AsyncSession, settings: Settings, email: str) -> PastSpending | None:
    """Remove and return what is stored for the mailbox; the caller stores it elsewhere."""
    hashes = _hashes(settings).candidates(mailbox_of(email))
    query = (
        select(PastSpending)
        .where(col(PastSpending.mailbox_hash).in_(hashes))
        .order_by(col(PastSpending.period_end_ms).desc())
        .with_for_update()
    )
    found = list((await session.exec(query)).all())
    await session.exec(delete(PastSpending).where(col(PastSpending.mailbox_hash).in_(hashes)))
    running = [row for row in found if row.period_end_ms > now_ms()]
    if not running:
        return None
    newest = running[0]
    return PastSpending(
        mailbox_hash=newest.mailbox_hash,
        period_start_ms=newest.period_start_ms,
        period_end_ms=newest.period_end_ms,
        spent_nano_usd=sum(row.spent_nano_usd for row in running),
        background_spent_nano_usd=sum(row.background_spent_nano_usd for row in running),
    )


def _hashes(settings: Settings) -> KeyedHash:
    return KeyedHash("past-spending", *settings.secret_keys)
