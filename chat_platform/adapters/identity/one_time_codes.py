"""Short-lived codes that prove a person owns an address. Stored as hashes, usable once."""

import hashlib

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from chat_platform.database.engine import transaction
from chat_platform.models import OneTimeCode
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.typed_codes import letters_of, new_typed_code

CODE_MINUTES = 15
_CHARACTERS = 12
"""60 bits."""


async def make_code(engine: AsyncEngine, account_id: AccountId, *, purpose: str) -> str:
    """Return a new code such as `K7QM-22XR-9FAT`, and invalidate older ones for this purpose."""
    code = new_typed_code(_CHARACTERS)
    made = OneTimeCode(
        code_hash=_hash(account_id, purpose, letters_of(code)),
        account_id=account_id,
        purpose=purpose,
        expires_at_ms=now_ms() + CODE_MINUTES * 60_000,
    )
    async with transaction(engine) as session:
        await session.exec(
            delete(OneTimeCode).where(
                col(OneTimeCode.account_id) == account_id, col(OneTimeCode.purpose) == purpose
            )
        )
        session.add(made)
    return code


async def use_code(engine: AsyncEngine, account_id: AccountId, code: str, *, purpose: str) -> bool:
    """Use the code up; False if it is wrong, expired or used. Of two at once, one succeeds."""
    letters = letters_of(code)
    now = now_ms()
    async with transaction(engine) as session:
        done = await session.exec(
            update(OneTimeCode)
            .where(
                col(OneTimeCode.code_hash) == _hash(account_id, purpose, letters),
                col(OneTimeCode.used_at_ms).is_(None),
                col(OneTimeCode.expires_at_ms) > now,
            )
            .values(used_at_ms=now)
        )
    return done.rowcount == 1


def _hash(account_id: AccountId, purpose: str, letters: str) -> str:
    text = f"{account_id}:{purpose}:{letters}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
