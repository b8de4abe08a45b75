"""Waiting for another transaction that waits."""

from __future__ import annotations

from sqlalchemy import text

from core.testing.waiting import wait_until


def until_somebody_waits(town):
    """Return once another transaction of this database waits for a lock, in as long as a busy machine needs."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def somebody_waits():
        town.session.execute(text("SELECT pg_stat_clear_snapshot()"))
        return town.session.scalar(waits)

    wait_until(somebody_waits)
