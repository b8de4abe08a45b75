"""Payments of a family, year by year: on its page, and as a list to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from core.invoices.service import PaidInvoice
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Table


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
