"""Short-lived codes that prove a person reads an address. Kept as hashes, good for one use."""

import hashlib
import secrets

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.db import transaction
from chat_platform.models import OneTimeCode

CODE_MINUTES = 15
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0, 1, I or O: people type these. 12 of 32 characters are 60 bits."""


async def make_code(engine: AsyncEngine, account_id: str, *, purpose: str) -> str:
    """Return a new code such as `K7QM-22XR-9FAT`; older ones of the same purpose are void."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    made = OneTimeCode(
        code_hash=_hash(account_id, purpose, letters),
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
    return "-".join(letters[i : i + 4] for i in range(0, 12, 4))


async def use_code(engine: AsyncEngine, account_id: str, code: str, *, purpose: str) -> bool:
    """Use the code up; False when it is wrong, too old or used. Two at once: one wins."""
    letters = "".join(c for c in code.upper() if c.isalnum())
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


def _hash(account_id: str, purpose: str, letters: str) -> str:
    text = f"{account_id}:{purpose}:{letters}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
