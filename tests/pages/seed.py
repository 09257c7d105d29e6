"""Gives a person on the pages' server a past."""

from pathlib import Path

from sqlalchemy import create_engine, select
from sqlmodel import col

from chat_platform.ids import AccountId
from chat_platform.models import Account
from tests.long_history import fill_history


def seed_history(folder: Path, email: str, *, messages: int) -> list[str]:
    """Write a long conversation into the server's database; return the messages' ids."""
    engine = create_engine(f"sqlite:///{folder / 'platform.db'}", connect_args={"timeout": 30})
    with engine.begin() as connection:
        query = select(col(Account.id)).where(col(Account.email) == email)
        account_id = AccountId(connection.execute(query).scalar_one())
        ids = fill_history(connection, account_id, messages=messages)
    engine.dispose()
    return ids
