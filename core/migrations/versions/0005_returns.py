"""Returned mails: a message is found by the beginning of its Message-ID."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = op.f("ix_message_tenant_id_reference")


def upgrade() -> None:
    op.create_index(
        NAME,
        "message",
        ["tenant_id", "reference"],
        postgresql_ops={"reference": "text_pattern_ops"},
        postgresql_where=sa.text("reference <> ''"),
    )


def downgrade() -> None:
    op.drop_index(NAME, "message")
