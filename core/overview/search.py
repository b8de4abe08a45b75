"""Finding a family, an invoice or a payment by anything that stands on paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, union
from sqlalchemy.orm import Session

from core.domain import access_codes
from core.domain.money import AmountError, parse_amount
from core.families.models import Child, Family, FamilyChild
from core.families.name_search import exactly_named, one_of, search_names
from core.invoices.lists import invoice_rows
from core.invoices.models import Invoice
from core.payments.lists import payment_rows
from core.payments.models import Payment

FOUND = 20
"""Most results of each kind that a search shows."""

_CHECK = re.compile(r"\s*/\s*\w\Z")
"""Check character that follows a reference on a coupon."""


@dataclass(frozen=True, slots=True)
class Found:
    """Results of a search."""

    families: Sequence[Family]
    invoices: Sequence[Any]
    payments: Sequence[Any]

    @property
    def nothing(self) -> bool:
        """True if nothing was found."""
        return not (self.families or self.invoices or self.payments)


class Search:
    """One town, to be searched."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def find(self, typed: str) -> Found:
        """By code, name of parent or child, number, reference, receipt, authorisation, amount."""
        typed = _CHECK.sub("", typed.strip())
        if not typed:
            return Found((), (), ())
        words = {typed, typed.upper()}
        invoice: list[ColumnElement[bool]] = [
            Invoice.number.in_(words),
            Invoice.payment_reference.in_(words),
        ]
        payment: list[ColumnElement[bool]] = [
            Payment.receipt_number.in_(words),
            Payment.provider_reference.in_(words),
            and_(Payment.authorisation != "", Payment.authorisation.in_(words)),
        ]
        try:
            cents = parse_amount(typed)
        except AmountError:
            pass
        else:
            invoice.append(Invoice.amount == cents)
            payment.append(Payment.amount == cents)
        return Found(
            self._families(typed),
            self._latest(Invoice, invoice, invoice_rows(self._tenant)),
            self._latest(Payment, payment, payment_rows(self._tenant)),
        )

    def _families(self, typed: str) -> Sequence[Family]:
        bare = access_codes.normalise(typed)
        # The code of a duplicate is on paper too, and leads to what it became.
        by_code = select(func.coalesce(Family.merged_into, Family.id)).where(
            Family.tenant_id == self._tenant, Family.code == bare
        )
        by_child = (
            select(FamilyChild.family_id)
            .join(
                Child,
                and_(Child.tenant_id == FamilyChild.tenant_id, Child.id == FamilyChild.child_id),
            )
            .where(Child.tenant_id == self._tenant, Child.code == bare)
        )
        coded = self._session.scalars(union(by_code, by_child)).all()
        named = search_names(self._session, self._tenant, typed)
        order: list[Any] = [Family.id.not_in(by_code)]
        if named:
            order.append(Family.id.not_in(exactly_named(self._tenant, typed)))
        return self._session.scalars(
            select(Family)
            .where(
                Family.tenant_id == self._tenant,
                Family.merged_into.is_(None),
                one_of([*coded, *named]),
            )
            .order_by(*order, Family.name_folded, Family.id)
            .limit(FOUND)
        ).all()

    def _latest(self, model: Any, ways: list[ColumnElement[bool]], rows: Any) -> Sequence[Any]:
        """The latest rows that one of the `ways` finds, each by an index of its own."""
        found = union(
            *(
                select(model.id)
                .where(model.tenant_id == self._tenant, way)
                .order_by(model.id.desc())
                .limit(FOUND)
                .subquery()
                .select()
                for way in ways
            )
        )
        query = rows.where(model.id.in_(found)).order_by(model.id.desc()).limit(FOUND)
        return self._session.execute(query).all()
