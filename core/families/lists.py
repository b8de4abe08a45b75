"""Lists of families for agents."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from core.families.models import Family
from core.families.name_search import one_of, search_names
from core.platform.db.paging import PAGE_ROWS


class FamilyList:
    """The families of one tenant, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(self, *, name: str = "", after: str = "") -> Sequence[Family]:
        """Families by name, those that `name` finds; the page after the family of code `after`."""
        query = select(Family).where(Family.tenant_id == self._tenant, Family.merged_into.is_(None))
        if after:
            # By its code, since an address is logged, and a name is nobody's business there.
            last = self._session.scalar(
                select(Family.name_folded).where(
                    Family.tenant_id == self._tenant, Family.code == after
                )
            )
            query = query.where(tuple_(Family.name_folded, Family.code) > tuple_(last or "", after))
        if name:
            query = query.where(one_of(search_names(self._session, self._tenant, name)))
        return self._session.scalars(
            query.order_by(Family.name_folded, Family.code).limit(PAGE_ROWS + 1)
        ).all()
