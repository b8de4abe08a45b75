"""An address that is refused without a word of why: since when, to tell a bad day from a dead mailbox."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "contact_email",
        sa.Column(
            "doubted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="first refusal without a reason since a mail was taken",
        ),
    )


def downgrade() -> None:
    op.drop_column("contact_email", "doubted_at")
