"""Gives a person on the pages' server a past."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, select, update
from sqlmodel import col

from chat_platform.clock import now_ms
from chat_platform.ids import AccountId
from chat_platform.models import Account, Budget
from tests.long_history import fill_history


def seed_history(folder: Path, email: str, *, messages: int) -> list[str]:
    """Write a long conversation into the server's database; return the messages' ids."""
    with _account(folder, email) as (connection, account_id):
        return fill_history(connection, account_id, messages=messages)


def end_budget(folder: Path, email: str) -> None:
    """Leave nothing to spend to somebody whose agent has made a call."""
    with _account(folder, email) as (connection, account_id):
        nothing = update(Budget).where(col(Budget.account_id) == account_id)
        connection.execute(nothing.values(limit_nano_usd=0))


def mark_as_leaving(folder: Path, email: str) -> None:
    """Leave somebody's account in the middle of its deletion, as a peer that is down would."""
    with _account(folder, email) as (connection, account_id):
        leaving = update(Account).where(col(Account.id) == account_id)
        connection.execute(leaving.values(deleting_at_ms=now_ms()))


@contextmanager
def _account(folder: Path, email: str) -> Iterator[tuple[Connection, AccountId]]:
    engine = create_engine(f"sqlite:///{folder / 'platform.db'}", connect_args={"timeout": 30})
    with engine.begin() as connection:
        query = select(col(Account.id)).where(col(Account.email) == email)
        yield connection, AccountId(connection.execute(query).scalar_one())
    engine.dispose()
