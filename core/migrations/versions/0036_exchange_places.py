"""Places that a town exchanges files with its billing software in, and the files seen there."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exchange_place",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "direction", sa.String(), nullable=False, comment="in: invoices; out: payments"
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_exchange_place_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_exchange_place")),
        sa.UniqueConstraint(
            "tenant_id",
            "direction",
            "name",
            name=op.f("uq_exchange_place_tenant_id_direction_name"),
        ),
    )
    op.create_table(
        "exchange_file",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column(
            "size", sa.BigInteger(), nullable=False, comment="bytes; -1: only reading tells"
        ),
        sa.Column(
            "modified",
            sa.BigInteger(),
            nullable=False,
            comment="seconds since 1970, by the other side's clock",
        ),
        sa.Column("sha256", sa.String(), server_default="", nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was first seen as it is",
        ),
        sa.Column(
            "done_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was read; while it is being read, when that began",
        ),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("upload_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "upload_id"],
            ["upload.tenant_id", "upload.id"],
            name=op.f("fk_exchange_file_tenant_id_upload_id_upload"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_exchange_file_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_exchange_file")),
        sa.UniqueConstraint(
            "tenant_id",
            "place",
            "file_name",
            name=op.f("uq_exchange_file_tenant_id_place_file_name"),
        ),
    )
    protect("exchange_place")
    protect("exchange_file")


def downgrade() -> None:
    op.drop_table("exchange_file")
    op.drop_table("exchange_place")
