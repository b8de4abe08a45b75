"""A payment link, and the browser that it opens, may be for several invoices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "web_session",
        sa.Column(
            "more_invoice_ids",
            postgresql.ARRAY(sa.BigInteger()),
            server_default="{}",
            nullable=False,
            comment="of a payment link for several invoices: the others",
        ),
    )


def downgrade() -> None:
    # A version that knows of one invoice would open the first of several: end these sessions.
    op.execute("DELETE FROM web_session WHERE more_invoice_ids <> '{}'")
    op.drop_column("web_session", "more_invoice_ids")
