"""A town may be closed for maintenance, or have moved to another installation."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import APP

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# The lock first, the state after it, each with a snapshot of its own: whoever closes the town waits
# until nobody holds the lock, and whoever takes it afterwards reads that the town is closed.
ENTER = """
CREATE FUNCTION enter_town(town text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_closed boolean;
BEGIN
    PERFORM pg_catalog.set_config('app.tenant', town, true);
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended(town, 6));
    SELECT state IN ('closed', 'moved') INTO is_closed FROM public.tenant WHERE id = town;
    IF is_closed THEN
        RAISE EXCEPTION 'the town % is closed', town USING ERRCODE = 'TC001';
    END IF;
END
$$
"""


def upgrade() -> None:
    op.add_column(
        "tenant",
        sa.Column(
            "state",
            sa.String(),
            nullable=False,
            server_default="open",
            comment="open; draining: workers begin nothing; closed; moved: lives elsewhere",
        ),
    )
    op.create_check_constraint(
        op.f("ck_tenant_state"), "tenant", "state IN ('open', 'draining', 'closed', 'moved')"
    )
    op.create_index(
        "ix_tenant_not_open", "tenant", ["id"], postgresql_where=sa.text("state <> 'open'")
    )
    op.execute(ENTER)
    op.execute("REVOKE ALL ON FUNCTION enter_town(text) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION enter_town(text) TO {APP}")


def downgrade() -> None:
    op.execute("DROP FUNCTION enter_town(text)")
    op.drop_index("ix_tenant_not_open", table_name="tenant")
    op.drop_column("tenant", "state")
