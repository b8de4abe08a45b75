"""Waiting for another transaction that waits."""

from __future__ import annotations

from sqlalchemy import text


def until_somebody_waits(town):
    """Return once another transaction of this database waits for a lock, at most 10 seconds long."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _at in range(1000):
        if town.session.scalar(waits):
            return
        town.session.execute(text("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)"))
    raise AssertionError("nobody waits")
