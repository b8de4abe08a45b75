"""All that a town's tables hold, as one text."""

from __future__ import annotations

from sqlalchemy import text

import core.rooms  # noqa: F401 - completes the metadata
from core.platform.db.base import Base


def everything(session) -> str:
    """Every row of every table of the session's town."""
    return "\n".join(
        str(row)
        for table in Base.metadata.sorted_tables
        for row in session.scalars(text(f'SELECT t::text FROM "{table.name}" t'))
    )
