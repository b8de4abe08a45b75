"""Row-level security: the wall between towns, below the views.

The application's role owns no table and cannot bypass a policy; with no town set, no row is seen.
"""

from __future__ import annotations

from collections.abc import Iterable

OWNER, APP, RELAY = "preau_owner", "preau_app", "preau_relay"
"""The three database roles: owner of the tables, application, and the relay across towns."""

_CURRENT = "nullif(current_setting('app.tenant', true), '')"


def protect(table: str, *, writable: bool = True) -> list[str]:
    """SQL that puts `table` behind the wall.

    ``writable=False`` makes it append-only for the application (audit, journal).
    """
    rights = "SELECT, INSERT, UPDATE, DELETE" if writable else "SELECT, INSERT"
    return [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY town ON "{table}" TO {APP}'
        f" USING (tenant_id = {_CURRENT}) WITH CHECK (tenant_id = {_CURRENT})",
        f'GRANT {rights} ON "{table}" TO {APP}',
    ]


def open_to_relay(table: str) -> list[str]:
    """SQL that lets the relay find due rows of all towns in `table` (the outbox, and only it)."""
    return [
        f'CREATE POLICY relay ON "{table}" TO {RELAY} USING (true) WITH CHECK (true)',
        f'GRANT SELECT, UPDATE ON "{table}" TO {RELAY}',
    ]


def statements(tables: Iterable[str]) -> list[str]:
    """`protect` for several tables, in order."""
    return [statement for table in tables for statement in protect(table)]
