"""Lists of credits for agents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from core.families.models import Family
from core.payments.models import Credit, Payment, credit_left
from core.platform.clock import on_days
from core.platform.db.paging import (
    PAGE_ROWS,
    Narrowing,
    Page,
    Total,
    below,
    read_page,
    total,
    within,
)

LEFT = "reste"
"""A way to sort: what is left."""


@dataclass(frozen=True, slots=True)
class Asked(Narrowing):
    """Bounds of a list of credits, and the order: `LEFT`; else the newest first.

    The days are those on which they came to be, the cents what is left.
    """

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL: which of the credits that have something left."""
        conditions: list[ColumnElement[bool]] = []
        if self.regie:
            conditions.append(Credit.regie == self.regie)
        if self.family_id is not None:
            conditions.append(Credit.family_id == self.family_id)
        conditions += on_days(Credit.created_at, self.since, self.until)
        conditions += within(credit_left(), self.least, self.most)
        return conditions


class CreditList:
    """The credits of one tenant of which something is left, page by page."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def page(
        self, asked: Asked | None = None, *, before: int | None = None, limit: int = PAGE_ROWS,
        **changes: Any,
    ) -> Page:
        """Credits as `credit_rows` has them, the newest first, or the one with most left."""
        wanted = replace(asked or Asked(), **changes)
        order = (credit_left(), Credit.id) if wanted.sort == LEFT else (Credit.id,)
        query = credit_rows(self._tenant).where(*wanted.conditions())
        ordered = below(self._session, query, order, before)
        return read_page(self._session, ordered, limit, lambda row: int(row.Credit.id))

    def total(self, asked: Asked) -> Total:
        """Count the credits of a list, and sum what they came to and what is left of them."""
        query = credit_rows(self._tenant).where(*asked.conditions())
        return total(self._session, query, amount=Credit.amount, left=credit_left())


def credit_rows(tenant: str) -> Select[Credit, Family, Payment, int]:
    """SQL: credits of a town with something `left` (cents), with family and payment.

    The family is None where it is not known yet whose the payment is.
    """
    left = credit_left()
    return (
        select(Credit, Family, Payment, left.label("left"))
        .outerjoin(
            Family, and_(Family.tenant_id == Credit.tenant_id, Family.id == Credit.family_id)
        )
        .join(
            Payment, and_(Payment.tenant_id == Credit.tenant_id, Payment.id == Credit.payment_id)
        )
        .where(Credit.tenant_id == tenant, left != 0)
    )
