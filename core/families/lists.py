"""Lists of families for agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, select
from sqlalchemy.orm import Session

from core.families.models import Family
from core.families.name_search import one_of, search_names
from core.platform.db.paging import PAGE_ROWS, Page, Total, below, read_page, total, within

DUE = "reste"
"""A way to sort: what a family owes."""
Owed = Callable[[str], Subquery]
"""Cents to pay (`cents`) by `family_id`, in the town or one of its régies."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Bounds of a list of families, and the order.

    `name`: those that it finds; `regie`: those that owe it something, and what they owe it; `owes`:
    those that owe something; `least` to `most` cents of what they owe.
    """

    name: str = ""
    regie: str = ""
    owes: bool = False
    family_id: int | None = None
    least: int | None = None
    most: int | None = None
    sort: str = ""
    """`DUE`; else by name."""

    @property
    def by_due(self) -> bool:
        """True if the whole town's debts have to be looked at first."""
        return bool(self.regie or self.owes or self.sort) or (self.least, self.most) != (None, None)


class FamilyList:
    """The families of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str, owed: Owed) -> None:
        self._session = session
        self._tenant = tenant
        self._owed = owed

    def page(
        self, asked: Asked | None = None, *, before: int | None = None, limit: int = PAGE_ROWS,
        **changes: Any,
    ) -> Page:
        """Families with the cents that are `due` from them, by name, or the greatest debt first."""
        wanted = replace(asked or Asked(), **changes)
        query, due = self._rows(wanted)
        by_name = wanted.sort != DUE
        ordered = below(
            self._session,
            query.where(*self._conditions(wanted, due)),
            # By name in the order of their index.
            (Family.name_folded, Family.code, Family.id) if by_name else (due, Family.id),
            before,
            rising=by_name,
            rows=query,
        )
        return read_page(self._session, ordered, limit, lambda row: int(row.Family.id))

    def total(self, asked: Asked) -> Total:
        """Count the families of a list, and sum what they owe."""
        query, due = self._rows(asked)
        return total(self._session, query.where(*self._conditions(asked, due)), due=due)

    def _rows(self, asked: Asked) -> tuple[Select[*tuple[Any, ...]], ColumnElement[int]]:
        owed = self._owed(asked.regie)
        mine = owed.c.family_id == Family.id
        if not asked.by_due:
            # Of the families of a page only.
            cents = select(func.coalesce(func.sum(owed.c.cents), 0)).where(mine)
            due: ColumnElement[int] = cents.correlate(Family).scalar_subquery()
        else:
            due = func.coalesce(owed.c.cents, 0)
        query = select(Family, due.label("due")).where(
            Family.tenant_id == self._tenant, Family.merged_into.is_(None)
        )
        return (query.outerjoin(owed, mine) if asked.by_due else query), due

    def _conditions(self, asked: Asked, due: ColumnElement[int]) -> list[ColumnElement[bool]]:
        conditions = []
        if asked.name:
            conditions.append(one_of(search_names(self._session, self._tenant, asked.name)))
        if asked.family_id is not None:
            conditions.append(Family.id == asked.family_id)
        if asked.owes or asked.regie:
            conditions.append(due > 0)
        conditions += within(due, asked.least, asked.most)
        return conditions
