"""The day by the clock that dates the trail: the database's, which no test moves."""

from __future__ import annotations

from datetime import date

from sqlalchemy import text

from core.platform.clock import today


def trail_day(town) -> date:
    """The day in Paris, as statements of the trail have it."""
    return today(town.session.scalar(text("SELECT now()")))
