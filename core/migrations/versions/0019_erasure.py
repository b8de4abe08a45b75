"""A family may have asked to be erased while the books still need its name."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "family",
        sa.Column(
            "erasure_asked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="erased once the months of its payments are closed",
        ),
    )


def downgrade() -> None:
    op.drop_column("family", "erasure_asked_at")
