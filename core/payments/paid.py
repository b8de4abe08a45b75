"""Payments of a family, invoice by invoice and year by year: on its page, and as a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from core.invoices.models import Invoice
from core.payments.models import Allocation, Payment, released
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Table


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """A line of *factures déjà payées*: an invoice, and one payment that went to it (cents).

    `released` of it became a credit, after a credit note.
    """

    invoice_id: int
    payment_id: int
    number: str
    payment_reference: str
    label: str
    regie: str
    due_on: date
    paid: int
    payer: str
    means: str
    paid_at: datetime
    authorisation: str
    receipt_number: str
    released: int = 0


@dataclass(frozen=True, slots=True)
class PaidYear:
    """The payments of one calendar year in France, newest first. An amount is in cents."""

    year: int
    rows: tuple[PaidInvoice, ...]

    @property
    def count(self) -> int:
        """Invoices, each counted once however often it was paid on."""
        return len({row.invoice_id for row in self.rows})

    @property
    def total(self) -> int:
        """All that was paid and not given back as a credit."""
        return sum(row.paid - row.released for row in self.rows)


def by_year(rows: Sequence[PaidInvoice]) -> list[PaidYear]:
    """Part what was paid by the year of the payment, newest first, as the rows come."""
    return [
        PaidYear(year, tuple(found))
        for year, found in groupby(rows, lambda row: today(row.paid_at).year)
    ]


def table(year: PaidYear, family: str, regie_label: Callable[[str], str]) -> Table:
    """Put a year on a list, to be kept: a page upright on paper."""
    return Table(
        name=f"factures-payees-{year.year}",
        title=_("Factures payées en %(year)s") % {"year": year.year},
        columns=(
            _("Payée le"),
            _("Facture"),
            _("Numéro"),
            _("Régie"),
            _("Moyen de paiement"),
            _("Montant réglé"),
        ),
        rows=[
            (
                today(row.paid_at),
                row.label,
                row.number,
                regie_label(row.regie),
                means_label(row.means),
                Cents(row.paid - row.released),
            )
            for row in year.rows
        ],
        foot=(_("Total"), "", "", "", "", Cents(year.total)),
        notes=(
            _("Famille : %(family)s. Ce qui a été rendu en avoir est déduit.")
            % {"family": family},
        ),
    )


class PaidInvoices:
    """Invoices that the families of one town paid on."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def of(
        self, family_id: int, *, year: int | None = None, regie: str | None = None
    ) -> Sequence[PaidInvoice]:
        """Payments on this family's invoices, newest first."""
        query = (
            select(
                Invoice.id.label("invoice_id"),
                Payment.id.label("payment_id"),
                Invoice.number,
                Invoice.payment_reference,
                Invoice.label,
                Invoice.regie,
                Invoice.due_on,
                Allocation.amount.label("paid"),
                Payment.payer,
                Payment.means,
                Payment.paid_at,
                Payment.authorisation,
                Payment.receipt_number,
                released(self._tenant, Payment.id, Invoice.id).label("released"),
            )
            .join(
                Allocation,
                and_(
                    Allocation.tenant_id == Invoice.tenant_id, Allocation.invoice_id == Invoice.id
                ),
            )
            .join(
                Payment,
                and_(Payment.tenant_id == Invoice.tenant_id, Payment.id == Allocation.payment_id),
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Allocation.reversed_at.is_(None),
                Invoice.family_id == family_id,
            )
            .order_by(Payment.paid_at.desc(), Invoice.id.desc())
        )
        if year is not None:
            local = func.timezone("Europe/Paris", Payment.paid_at)
            query = query.where(func.extract("year", local) == year)
        if regie is not None:
            query = query.where(Invoice.regie == regie)
        rows = [PaidInvoice(**row._mapping) for row in self._session.execute(query)]  # noqa: SLF001
        return _freed_once(rows)


def _freed_once(rows: list[PaidInvoice]) -> list[PaidInvoice]:
    """Tell what an invoice gave back of a payment at one of the rows that the two have together."""
    left = {(row.payment_id, row.invoice_id): row.released for row in rows}
    found = []
    for row in rows:
        key = row.payment_id, row.invoice_id
        cents = min(left[key], row.paid)
        left[key] -= cents
        found.append(replace(row, released=cents) if cents != row.released else row)
    return found
