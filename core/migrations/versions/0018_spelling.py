"""How the billing software writes a family's code: another spelling is another household's."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "family",
        sa.Column(
            "spelling",
            sa.Text(),
            nullable=True,
            comment="the code as the billing software writes it; NULL: no file named it yet",
        ),
    )


def downgrade() -> None:
    op.drop_column("family", "spelling")
