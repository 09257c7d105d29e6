"""Invitations, and the memory of past spending"""

import sqlalchemy as sa

from alembic import op
from chat_platform.values.addresses import mailbox_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_account_id", sa.Text(), nullable=True),
        sa.Column("setup_code_hash", sa.Text(), nullable=True),
        sa.Column("setup_code_used_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("budget_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("held_for", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.Column("used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_hash"),
    )
    op.create_table(
        "past_spending",
        sa.Column("mailbox_hash", sa.Text(), nullable=False),
        sa.Column("period_start_ms", sa.BigInteger(), nullable=False),
        sa.Column("period_end_ms", sa.BigInteger(), nullable=False),
        sa.Column("spent_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("background_spent_nano_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_hash"),
    )
    op.create_index("ix_past_spending_period_end_ms", "past_spending", ["period_end_ms"])
    # Not in a batch: SQLite would rebuild the tables, and foreign keys would cascade.
    op.add_column(
        "budgets",
        sa.Column("earlier_nano_usd", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column("accounts", sa.Column("mailbox", sa.Text(), nullable=True))
    op.create_index("uq_accounts_mailbox", "accounts", ["mailbox"], unique=True)
    _know_who_is_here()


def _know_who_is_here() -> None:
    """Record the first account, and each mailbox; if accounts share one, the oldest keeps it."""
    accounts = sa.table("accounts", sa.column("id"), sa.column("email"), sa.column("mailbox"))
    bind = op.get_bind()
    here = bind.execute(sa.select(accounts.c.id, accounts.c.email).order_by(accounts.c.id)).all()
    installation = sa.table("installation", sa.column("id"), sa.column("first_account_id"))
    op.execute(installation.insert().values(id=1, first_account_id=here[0].id if here else None))
    known: set[str] = set()
    for account in here:
        mailbox = mailbox_of(account.email)
        if mailbox not in known:
            known.add(mailbox)
            bind.execute(
                accounts.update().where(accounts.c.id == account.id).values(mailbox=mailbox)
            )


def downgrade() -> None:
    op.drop_index("uq_accounts_mailbox", "accounts")
    op.drop_column("accounts", "mailbox")
    op.drop_column("budgets", "earlier_nano_usd")
    op.drop_table("past_spending")
    op.drop_table("invitations")
    op.drop_table("installation")
