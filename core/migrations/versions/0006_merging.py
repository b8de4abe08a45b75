"""Duplicate families that became one, and the pictures of news."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "family",
        sa.Column(
            "merged_into",
            sa.BigInteger(),
            nullable=True,
            comment="the family that this duplicate became; its codes open that one",
        ),
    )
    op.create_foreign_key(
        op.f("fk_family_tenant_id_family"),
        "family",
        "family",
        ["tenant_id", "merged_into"],
        ["tenant_id", "id"],
    )
    op.create_index(
        "ix_family_merged",
        "family",
        ["tenant_id", "merged_into"],
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_table(
        "news_image",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("news_id", sa.BigInteger(), nullable=False),
        sa.Column("alt", sa.String(), nullable=False, comment="what it shows, in words"),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False, comment="pixels"),
        sa.Column("height", sa.Integer(), nullable=False, comment="pixels"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "news_id"],
            ["news.tenant_id", "news.id"],
            name=op.f("fk_news_image_tenant_id_news"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_news_image_tenant_id_tenant")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_news_image")),
    )
    op.create_index(op.f("ix_news_image_tenant_id_news_id"), "news_image", ["tenant_id", "news_id"])
    protect("news_image")


def downgrade() -> None:
    op.drop_table("news_image")
    op.drop_index("ix_family_merged", table_name="family")
    op.drop_constraint(op.f("fk_family_tenant_id_family"), "family")
    op.drop_column("family", "merged_into")
