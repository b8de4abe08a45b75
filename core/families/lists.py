"""Lists of families for agents."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.families.models import Family
from core.platform.db.paging import PAGE_ROWS


class FamilyList:
    """The families of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(self, *, name: str = "", after: str = "") -> Sequence[Family]:
        """Families by code, those whose name holds `name`; the page after the code `after`."""
        query = select(Family).where(
            Family.tenant_id == self._tenant, Family.merged_into.is_(None), Family.code > after
        )
        if name:
            query = query.where(named(name))
        return self._session.scalars(query.order_by(Family.code).limit(PAGE_ROWS + 1)).all()


def named(typed: str) -> ColumnElement[bool]:
    """SQL: the family's name holds what was typed, in any case."""
    return Family.name.icontains(typed.strip(), autoescape=True)
