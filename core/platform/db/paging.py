"""Pages of long lists, read by key: the last page of a million rows costs as much as the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select, tuple_
from sqlalchemy.orm import Session

PAGE_ROWS = 50
MAX_SUMMED = 10_000
"""Rows that the total of a list adds up: a list of more is to be narrowed first."""


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


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Bounds that most lists share, and the word for what sorts them ("" is each list's own).

    `since` to `until` are days, `least` to `most` cents; both ends are included.
    """

    regie: str = ""
    family_id: int | None = None
    since: date | None = None
    until: date | None = None
    least: int | None = None
    most: int | None = None
    sort: str = ""

    @property
    def has_days(self) -> bool:
        """True if the list is of some days only."""
        return self.since is not None or self.until is not None

    @property
    def has_cents(self) -> bool:
        """True if the list is of some amounts only; an end of zero cents is one too."""
        return self.least is not None or self.most is not None


def within(
    column: SQLColumnExpression[Any], least: int | None, most: int | None
) -> list[ColumnElement[bool]]:
    """SQL: cents from `least` to `most`, both included; None: without that end."""
    found = []
    if least is not None:
        found.append(column >= least)
    if most is not None:
        found.append(column <= most)
    return found


def below(
    session: Session,
    query: Select[*tuple[Any, ...]],
    order: Sequence[Any],
    key: int | None,
    *,
    rising: bool = False,
    rows: Select[*tuple[Any, ...]] | None = None,
) -> Select[*tuple[Any, ...]]:
    """Order a query by columns, greatest first (`rising`: least), after the row of id `key`.

    The last column of `order` is the id. Where the row is gone, its id alone says where to go on.
    `rows` are all rows, however they are narrowed, where a column of `order` is none of a table.
    """
    number = order[-1]
    if key is not None:
        last: Any = (key,)
        if len(order) > 1:
            mine = (number.class_.tenant_id == session.info.get("tenant", ""), number == key)
            place = select(*order) if rows is None else rows.with_only_columns(*order)
            last = session.execute(place.where(*mine).order_by(None)).one_or_none()
        here, there = (tuple_(*order), tuple_(*last)) if last else (number, key)
        query = query.where(here > there if rising else here < there)
    return query.order_by(*(column.asc() if rising else column.desc() for column in order))


def newest(
    session: Session,
    query: Select[*tuple[Any, ...]],
    number: Any,
    before: int | None,
    limit: int = PAGE_ROWS,
) -> Page:
    """Read a page of a query of one table, the greatest `number` (its id) first."""
    ordered = below(session, query, (number,), before)
    page = read_page(session, ordered, limit, lambda row: int(row[0].id))
    return Page([row[0] for row in page.rows], page.more)


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of a list. `is_whole`: no more rows than can be added up while one waits."""

    count: int
    cents: Mapping[str, int]
    is_whole: bool


def total(
    session: Session, query: Select[*tuple[Any, ...]], **sums: SQLColumnExpression[int]
) -> Total:
    """Count the rows of a query and add up columns of it, by name: `MAX_SUMMED` at most."""
    columns: list[Any] = [column.label(name) for name, column in sums.items()]
    # What it is ordered by is of no account to a sum.
    rows = query.with_only_columns(*columns).order_by(None).limit(MAX_SUMMED + 1).subquery()
    count, *cents = session.execute(
        select(
            func.count(), *(func.coalesce(func.sum(rows.c[name]), 0) for name in sums)
        ).select_from(rows)
    ).one()
    return Total(count, dict(zip(sums, map(int, cents), strict=True)), count <= MAX_SUMMED)
