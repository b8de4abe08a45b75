"""Invoices know by which names their issuer's accounts refer to them, and which piece they follow."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WAITS = """
CREATE FUNCTION invoice_waits(i invoice) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT i.state <> 'cancelled' AND CASE
        WHEN i.kind = 'avoir' THEN i.amount < 0 AND i.relation = '' AND NOT EXISTS (
            SELECT FROM invoice o
            WHERE o.tenant_id = i.tenant_id AND o.regie = i.regie AND o.number = i.origin_number
              AND o.family_id = i.family_id AND o.kind = 'facture')
        ELSE i.relation = 'replaces' AND EXISTS (
            SELECT FROM invoice o
            WHERE o.tenant_id = i.tenant_id AND o.family_id = i.family_id AND o.regie = i.regie
              AND o.id <> i.id AND o.kind = 'facture' AND o.state IN ('draft', 'published')
              AND o.piece_keys @> i.refers_to[1:1] AND i.refers_to <> '{}'
              AND o.amount - o.credited - o.paid > 0) END
$$
"""
"""Whether a person must look at it: a credit note that takes nothing off any invoice, or an invoice
in place of one that can still be paid."""


def upgrade() -> None:
    for name, comment in (
        ("piece_keys", "the names of its piece in the issuer's accounts"),
        ("refers_to", "such names of the piece that it corrects, replaces or completes"),
    ):
        op.add_column(
            "invoice",
            sa.Column(name, ARRAY(sa.Text()), server_default="{}", nullable=False, comment=comment),
        )
    op.add_column(
        "invoice",
        sa.Column(
            "relation",
            sa.String(),
            server_default="",
            nullable=False,
            comment="replaces, completes; none: an agent said that it corrects no invoice here",
        ),
    )
    op.execute(WAITS)
    op.create_index(
        "ix_invoice_relation",
        "invoice",
        ["tenant_id", "relation"],
        postgresql_where=sa.text("relation <> ''"),
    )
    # Whoever left the original out of a file so far meant that there is none.
    op.execute("ALTER TABLE invoice NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE invoice SET relation = 'none' WHERE kind = 'avoir' AND origin_number = ''"
    )
    op.execute("ALTER TABLE invoice FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP FUNCTION invoice_waits(invoice)")
    op.drop_index("ix_invoice_relation", table_name="invoice")
    for name in ("relation", "refers_to", "piece_keys"):
        op.drop_column("invoice", name)
