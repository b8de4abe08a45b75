"""What a provider refused at the start, what may be paid, and what the payer has in hand."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TEXTS = {
    "payer_reference": "the reference on the provider's own ticket",
    "start_refusal": "whose doing it is that the provider refused to open",
    "last_answer": "the provider's last answer in one word",
    "dismissed": "the anomaly that a person looked at",
}
MOMENTS = {
    "starting_at": "when a click began to announce it: the other clicks wait",
    "superseded_at": "when the payer, told that it may still settle, began anew",
}
MAY_BE_PAID = "nobody pays its invoices again before an answer or a person resolves it"

# What stood before: the last answers say the rest.
CARRY = """
UPDATE payment SET
    may_be_paid = anomaly <> '' AND state NOT IN ('settled', 'reversed'),
    provider_url = CASE WHEN anomaly <> '' THEN '' ELSE provider_url END,
    start_refusal = CASE
        WHEN state = 'refused' AND provider_reference = '' THEN 'unknown' ELSE ''
    END,
    last_answer = coalesce((
        SELECT CASE
            WHEN a.outcome = 'pending' AND a.detail IN ('refused', 'cancelled') THEN a.detail
            WHEN a.outcome = 'refused at start' THEN ''
            ELSE a.outcome
        END
        FROM payment_answer a
        WHERE a.tenant_id = payment.tenant_id AND a.payment_id = payment.id
        ORDER BY a.id DESC LIMIT 1
    ), '')
WHERE provider <> ''
"""


def upgrade() -> None:
    for name, comment in TEXTS.items():
        op.add_column(
            "payment",
            sa.Column(name, sa.String(), server_default="", nullable=False, comment=comment),
        )
    for name, comment in MOMENTS.items():
        op.add_column(
            "payment",
            sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment),
        )
    op.add_column(
        "payment",
        sa.Column(
            "may_be_paid",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment=MAY_BE_PAID,
        ),
    )
    for table in ("payment", "payment_answer"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(CARRY)
    for table in ("payment", "payment_answer"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for name in (*TEXTS, *MOMENTS, "may_be_paid"):
        op.drop_column("payment", name)
