"""A town that arrives from another installation has a state of its own: it has never been open here."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

ENTER = """
CREATE OR REPLACE FUNCTION enter_town(town text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_closed boolean;
BEGIN
    PERFORM pg_catalog.set_config('app.tenant', town, true);
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended(town, 6));
    SELECT state IN ({closed}) INTO is_closed FROM public.tenant WHERE id = town;
    IF is_closed THEN
        RAISE EXCEPTION 'the town % is closed', town USING ERRCODE = 'TC001';
    END IF;
END
$$
"""
BEFORE, AFTER = ("closed", "moved"), ("closed", "moved", "arriving")
COMMENT = "open; draining: workers begin nothing; closed; moved: lives elsewhere"


def _states(closed: tuple[str, ...], comment: str) -> None:
    listed = ", ".join(f"'{state}'" for state in closed)
    op.drop_constraint(op.f("ck_tenant_state"), "tenant")
    op.create_check_constraint(
        op.f("ck_tenant_state"), "tenant", f"state IN ('open', 'draining', {listed})"
    )
    op.alter_column("tenant", "state", existing_type=sa.String(), comment=comment)
    op.execute(ENTER.format(closed=listed))


def upgrade() -> None:
    _states(AFTER, f"{COMMENT}; arriving: never open here yet")


def downgrade() -> None:
    op.execute("UPDATE tenant SET state = 'closed' WHERE state = 'arriving'")
    _states(BEFORE, COMMENT)
