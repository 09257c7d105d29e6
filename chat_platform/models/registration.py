"""The tables behind registration. `models` imports them."""

# pyright: reportAssignmentType=false
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel

from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, new_id

THE_INSTALLATION = 1


def _ms(**kwargs: Any) -> Any:
    return Field(sa_type=BigInteger, **kwargs)


def _text(**kwargs: Any) -> Any:
    return Field(sa_type=Text, **kwargs)


class Installation(SQLModel, table=True):
    """A single row: what happens once per installation."""

    __tablename__ = "installation"

    id: int = Field(default=THE_INSTALLATION, primary_key=True)
    first_account_id: AccountId | None = _text(default=None)
    """Who registered first. Kept when they leave: nobody can be the first again."""
    setup_code_hash: str | None = _text(default=None)
    setup_code_used_at_ms: int | None = _ms(default=None)


class Invitation(SQLModel, table=True):
    """Lets one person register. Its code is stored only as a keyed hash."""

    __tablename__ = "invitations"

    id: str = Field(default_factory=new_id, primary_key=True)
    code_hash: str = _text(unique=True)
    budget_nano_usd: int | None = _ms(default=None)
    """The new account's budget per period; null: the default budget."""
    email: str | None = _text(default=None)
    """The only address that may use it, normalised; null: any."""
    held_for: str | None = _text(default=None)
    """The address that used it, while the identity provider is confirming it."""
    created_by: AccountId | None = _text(default=None)
    """An administrator's account; null: the operator, from the command line."""
    created_at_ms: int = _ms(default_factory=now_ms)
    expires_at_ms: int = _ms()
    used_by: AccountId | None = _text(default=None)
    used_at_ms: int | None = _ms(default=None)
    revoked_at_ms: int | None = _ms(default=None)


class PastSpending(SQLModel, table=True):
    """What a deleted account had spent, until its period ends. Anonymous."""

    __tablename__ = "past_spending"

    mailbox_hash: str = _text(primary_key=True)
    """A keyed hash of the mailbox (see addresses.py)."""
    period_start_ms: int = _ms()
    period_end_ms: int = _ms(index=True)
    spent_nano_usd: int = _ms()
    background_spent_nano_usd: int = _ms()
