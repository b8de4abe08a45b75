"""Families may switch off kinds of messages that plugins send."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "family",
        sa.Column(
            "muted",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="the plugins' kinds of messages that it switched off",
        ),
    )


def downgrade() -> None:
    op.drop_column("family", "muted")
