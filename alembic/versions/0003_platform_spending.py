"""What the whole platform has spent"""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "platform_spending",
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("spent_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("reserved_nano_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span"),
    )
    # The row that every group locks first exists from the start.
    op.execute("insert into platform_spending values ('all', 0, 0)")


def downgrade() -> None:
    op.drop_table("platform_spending")
