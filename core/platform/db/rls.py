"""Row-level security: the wall between towns, below the views.

The application's role owns no table and cannot bypass a policy; with no town set, no row is seen.
"""

from __future__ import annotations

OWNER, APP, RELAY = "preau_owner", "preau_app", "preau_relay"
"""The database roles that serve: owner of the tables, application, and the relay across towns."""

MAINTENANCE = "preau_maintenance"
"""Reads everything and writes nothing: for backups, which have to see all towns."""

_CURRENT = "nullif(current_setting('app.tenant', true), '')"


def protect(table: str, *, append_only: bool = False) -> None:
    """Put `table` behind the wall, from a migration.

    Every table with a ``tenant_id`` needs it, a plugin's too. An append-only table (audit, answers)
    can be neither changed nor emptied by the application's role.
    """
    rights = "SELECT, INSERT" if append_only else "SELECT, INSERT, UPDATE, DELETE"
    _execute(
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY town ON "{table}" TO {APP}'
        f" USING (tenant_id = {_CURRENT}) WITH CHECK (tenant_id = {_CURRENT})",
        f'GRANT {rights} ON "{table}" TO {APP}',
    )
    share_of_towns(table)


def share_of_towns(table: str) -> None:
    """Say how many towns a table holds: one for each thousand rows.

    When ANALYZE meets a table with one row, each of its columns is unique, the town's too. Any
    index that begins with the town then seems to lead to one row, and until PostgreSQL looks again
    all rows of the town are read for each that is wanted: a first import of 100 000 invoices took
    more than ten minutes. Of the towns with most rows, statistics know the truth beside this.
    """
    _execute(f'ALTER TABLE "{table}" ALTER COLUMN tenant_id SET (n_distinct = -0.001)')


def forget_share_of_towns(table: str) -> None:
    """Undo `share_of_towns`."""
    _execute(f'ALTER TABLE "{table}" ALTER COLUMN tenant_id RESET (n_distinct)')


def open_to_relay(table: str) -> None:
    """Let the relay find due rows of all towns in `table` (the outbox, and only it)."""
    _execute(
        f'CREATE POLICY relay ON "{table}" TO {RELAY} USING (true) WITH CHECK (true)',
        f'GRANT SELECT, UPDATE ON "{table}" TO {RELAY}',
    )


def _execute(*statements: str) -> None:
    from alembic import op  # noqa: PLC0415 - 0.2 s that only migrations need

    for statement in statements:
        op.execute(statement)
