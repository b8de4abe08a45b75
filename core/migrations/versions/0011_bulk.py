"""Effects that come by the thousand, which let all others pass."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OPEN = sa.text("state IN ('ready', 'running')")


def upgrade() -> None:
    op.add_column(
        "outbox",
        sa.Column(
            "bulk",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="one of very many: lets all others pass",
        ),
    )
    op.drop_index("ix_outbox_due", table_name="outbox", postgresql_where=OPEN)
    op.create_index(
        "ix_outbox_due", "outbox", ["bulk", "available_at"], unique=False, postgresql_where=OPEN
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_due", table_name="outbox", postgresql_where=OPEN)
    op.create_index("ix_outbox_due", "outbox", ["available_at"], unique=False, postgresql_where=OPEN)
    op.drop_column("outbox", "bulk")
