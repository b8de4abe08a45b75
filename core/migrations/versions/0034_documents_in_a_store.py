"""The content of a finished file may be in the object store instead of the database."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "document",
        "content",
        existing_type=sa.LargeBinary(),
        nullable=True,
        comment="none: it is in the object store",
    )
    op.create_index(op.f("ix_document_tenant_id_sha256"), "document", ["tenant_id", "sha256"])
    op.create_table(
        "document_orphan",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_document_orphan_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_document_orphan")),
        sa.UniqueConstraint(
            "tenant_id", "sha256", name=op.f("uq_document_orphan_tenant_id_sha256")
        ),
    )
    protect("document_orphan")


def downgrade() -> None:
    # A file whose content is elsewhere has no place in the older schema: it stops here, and
    # `preau documents move --all --back` comes first.
    op.alter_column(
        "document", "content", existing_type=sa.LargeBinary(), nullable=False, comment=None,
        existing_comment="none: it is in the object store",
    )  # fmt: skip
    op.drop_table("document_orphan")
    op.drop_index(op.f("ix_document_tenant_id_sha256"), table_name="document")
