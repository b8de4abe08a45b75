"""Whoever writes many rows may let PostgreSQL count them (`core.platform.db.statistics`)."""

from alembic import op

from core.platform.db.rls import APP

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

# As the owner, since only PostgreSQL 17 and newer can lend the right by itself. A table that somebody
# else counts, or writes into as much, is left to him.
COUNT = """
CREATE FUNCTION count_anew(tables text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) public.%I', name);
    END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute(COUNT)
    op.execute("REVOKE ALL ON FUNCTION count_anew(text[]) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION count_anew(text[]) TO {APP}")


def downgrade() -> None:
    op.execute("DROP FUNCTION count_anew(text[])")
