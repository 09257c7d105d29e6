"""The table behind the platform's own budgets. `models` imports it."""

# pyright: reportAssignmentType=false
from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel


class PlatformSpending(SQLModel, table=True):
    """What all accounts spent together, in total and per day. Maintained while a limit is set."""

    __tablename__ = "platform_spending"

    span: str = Field(sa_type=Text, primary_key=True)
    """`all`, or a day (UTC) such as `2026-01-31`."""
    spent_nano_usd: int = Field(default=0, sa_type=BigInteger)
    reserved_nano_usd: int = Field(default=0, sa_type=BigInteger)
