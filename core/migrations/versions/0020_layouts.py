"""Layouts of files that a town keeps; and no news or publication in another age."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core.platform.db.rls import protect

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "file_layout",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="invoices, or bank: the statement of an account",
        ),
        sa.Column(
            "name",
            sa.String(),
            nullable=False,
            comment="of the program; of a statement, the régie's key",
        ),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_file_layout_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_file_layout")),
        sa.UniqueConstraint(
            "tenant_id", "kind", "name", name=op.f("uq_file_layout_tenant_id_kind_name")
        ),
    )
    protect("file_layout")
    # What was typed as year 1 cannot be read back, and took a town's pages down. The owner is under
    # row-level security too, and would see no row.
    for table, column in (("news", "published_at"), ("import_batch", "publish_at")):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(
            f"UPDATE {table} SET {column} = NULL"
            f" WHERE {column} NOT BETWEEN '1999-12-31' AND '2101-01-02'"
        )
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("file_layout")
