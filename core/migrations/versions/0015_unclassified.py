"""Money that came before anybody knows whose it is: a payment without a family (*à classer*)."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SOMEONE = "family_id IS NOT NULL OR (provider = '' AND state IN ('created', 'settled', 'reversed'))"


def upgrade() -> None:
    op.alter_column(
        "payment", "family_id", nullable=True, comment="NULL: whose it is is not known yet"
    )
    op.alter_column("credit", "family_id", nullable=True, comment="NULL with its payment's")
    op.add_column(
        "payment",
        sa.Column(
            "classified_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was found whose it is; NULL: it was known at once, or is not yet",
        ),
    )
    op.create_check_constraint(op.f("ck_payment_someone"), "payment", SOMEONE)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_payment_someone"), "payment")
    op.drop_column("payment", "classified_at")
    op.alter_column("credit", "family_id", nullable=False, comment=None)
    op.alter_column("payment", "family_id", nullable=False, comment=None)
