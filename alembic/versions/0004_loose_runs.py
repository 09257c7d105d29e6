"""Which ended turns' runs may still be going"""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("turns", sa.Column("run_until_ms", sa.BigInteger(), nullable=True))
    is_loose = sa.text("run_until_ms is not null")
    op.create_index(
        "ix_turns_loose_run",
        "turns",
        ["account_id"],
        sqlite_where=is_loose,
        postgresql_where=is_loose,
    )


def downgrade() -> None:
    op.drop_index("ix_turns_loose_run", "turns")
    op.drop_column("turns", "run_until_ms")
