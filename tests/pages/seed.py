"""Gives a person on the pages' server a history."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, insert, update
from sqlmodel import col, select

from chat_platform.models import Account, AuditEntry, Budget
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from tests.long_history import fill_history


def seed_history(folder: Path, email: str, *, messages: int) -> list[str]:
    """Write a long conversation into the server's database; return the messages' ids."""
    with _account(folder, email) as (connection, account_id):
        return fill_history(connection, account_id, messages=messages)


def end_budget(folder: Path, email: str) -> None:
    """Spend the whole budget of somebody whose agent has made a call."""
    with _account(folder, email) as (connection, account_id):
        nothing = update(Budget).where(col(Budget.account_id) == account_id)
        connection.execute(nothing.values(limit_nano_usd=0))


def mark_as_leaving(folder: Path, email: str) -> None:
    """Leave somebody's account half deleted, as when a peer is down."""
    with _account(folder, email) as (connection, account_id):
        leaving = update(Account).where(col(Account.id) == account_id)
        connection.execute(leaving.values(deleting_at_ms=now_ms()))


def make_admin(folder: Path, email: str) -> None:
    with _account(folder, email) as (connection, account_id):
        of_account = col(Account.id) == account_id
        connection.execute(update(Account).where(of_account).values(role="admin"))


def offer_setup_code(folder: Path) -> str:
    """Issue a new setup code with the operator's command."""
    told = subprocess.run(
        [sys.executable, "-m", "chat_platform", "setup-code"],
        env=os.environ | {"DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.splitlines()[0]


def seed_accounts(folder: Path, email: str, *, names: Sequence[str]) -> None:
    """Add people with these names who signed up after somebody."""
    with _account(folder, email) as (connection, _):
        for name in names:
            person = f"{name}@example.com"
            made = Account(email=person, name=name, auth_provider="embedded", auth_subject=person)
            connection.execute(insert(Account), made.model_dump())


def seed_audit(folder: Path, email: str, *, actions: Sequence[str]) -> None:
    """Add audit entries for what somebody has done, oldest first."""
    with _account(folder, email) as (connection, account_id):
        for action in actions:
            entry = AuditEntry(actor_id=account_id, action=action, detail={})
            connection.execute(insert(AuditEntry), entry.model_dump(exclude={"position"}))


@contextmanager
def _account(folder: Path, email: str) -> Iterator[tuple[Connection, AccountId]]:
    engine = create_engine(f"sqlite:///{folder / 'platform.db'}", connect_args={"timeout": 30})
    with engine.begin() as connection:
        query = select(col(Account.id)).where(col(Account.email) == email)
        yield connection, AccountId(connection.execute(query).scalar_one())
    engine.dispose()
