"""Pages of long lists, read by key: the last page of a million rows costs as much as the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the key to ask for those that follow (None: these are the last)."""

    rows: Sequence[Any]
    more: int | None


def read_page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    limit: int,
    key: Callable[[Any], int],
) -> Page:
    """Read the first `limit` rows of an ordered query; `key` gives the key of a row."""
    rows = session.execute(query.limit(limit + 1)).all()
    more = key(rows[limit - 1]) if len(rows) > limit else None
    return Page(rows[:limit], more)
