"""The papers of a remittance: its *bordereau de versement*, and the list of its payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.api.payments import Means, kind_of
from core.books.activities import Activities
from core.books.models import Remittance
from core.books.remittances import InHand, Remittances, RemittedPayment
from core.books.statements import Statements, remittance_state
from core.platform.clock import today
from core.platform.documents.render import payment_slip
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Table
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.means import TITLES


@dataclass(frozen=True, slots=True)
class Papers:
    """The papers of one town's remittances. `names` are its agents, by actor."""

    town: TenantConfig
    remittances: Remittances
    statements: Statements
    activities: Activities

    def slip(self, one: Remittance, names: Mapping[str, str]) -> Table:
        """The *bordereau de versement*: means, cheques one by one, activities, cash to count."""
        lines = self.remittances.parts(one)
        cash = sum(line.amount for line in lines if line.means == Means.CASH)
        activities, _opens = self.statements.activity_rows(
            one.regie, self.activities.parts_of(one.id)
        )
        taken = self.remittances.payments_of(one.id)
        payments = [payment for payment in taken if not payment.is_returned]
        returned = [payment for payment in taken if payment.is_returned]
        cheques = [payment for payment in payments if payment.means == Means.CHEQUE]
        titles = [payment for payment in payments if kind_of(payment.means) in TITLES]
        return Table(
            f"versement-{one.name.lower()}",
            " – ".join(
                (
                    _("Bordereau de versement n°\u00a0%(number)s") % {"number": one.name},
                    self.town.regie_label(one.regie),
                )
            ),
            (_("Moyen"), _("Compte"), _("Nombre"), _("Montant")),
            [
                (label, self.town.one_means(one.regie, means).account, count, Cents(cents))
                for means, label, count, cents in _rows(lines)
            ],
            (_("Total"), None, sum(line.count for line in lines), Cents(one.total)),
            self._facts(one, names),
            paper=payment_slip(
                activities,
                [(c.receipt, c.payer, c.reference, Cents(c.amount)) for c in cheques],
                cash,
                [
                    (t.receipt, means_label(t.means), t.payer, t.reference, Cents(t.amount))
                    for t in titles
                ],
                [
                    (r.receipt, means_label(r.means), r.payer, r.reference, Cents(r.amount))
                    for r in returned
                ],
            ),
        )  # fmt: skip

    def detail(self, one: Remittance) -> Table:
        """Every payment of a remittance, one a line, for a spreadsheet."""
        return payments_table(
            f"versement-{one.name.lower()}",
            " – ".join((_("Versement"), one.name, self.town.regie_label(one.regie))),
            self.remittances.payments_of(one.id),
        )

    def _facts(self, one: Remittance, names: Mapping[str, str]) -> list[str]:
        entries = self.remittances.entries_of(one.id)
        made = [entry.number for entry in entries if entry.kind == "remitted"]
        facts = [
            _("Recettes du %(first)s au %(last)s.")
            % {"first": f"{one.since:%d/%m/%Y}", "last": f"{one.until:%d/%m/%Y}"},
            _("Établi le %(day)s par %(who)s.")
            % {
                "day": f"{today(one.made_at):%d/%m/%Y}",
                "who": names.get(one.actor, one.actor),
            },
            _("Écritures du journal n°\u00a0%(first)s à n°\u00a0%(last)s. Empreinte : %(hash)s")
            % {"first": made[0], "last": made[-1], "hash": one.hash},
        ]
        if one.note:
            facts.append(one.note)
        if one.left_at:
            facts.append(
                _("Parti le %(day)s, emporté par %(who)s.")
                % {"day": f"{today(one.left_at):%d/%m/%Y}", "who": one.carrier}
            )
        if one.cancelled_at:
            facts.append(
                _("ANNULÉ le %(day)s par %(who)s : %(why)s")
                % {
                    "day": f"{today(one.cancelled_at):%d/%m/%Y}",
                    "who": names.get(one.cancelled_by, one.cancelled_by),
                    "why": one.cancel_reason,
                }
            )
        return facts


def payments_table(name: str, title: str, found: Sequence[RemittedPayment]) -> Table:
    """Payments one a line, each leading to its page."""
    return Table(
        name,
        title,
        (_("Reçu"), _("Date"), _("Payeur"), _("Moyen"), _("Référence"), _("Montant")),
        [
            (
                one.receipt, one.paid_at, one.payer, means_label(one.means),
                one.reference, Cents(one.amount),
            )
            for one in found
        ],
        (_("Total"), *[None] * 4, Cents(sum(one.amount for one in found))),
        opens=[("payment", one.payment_id) for one in found],
    )  # fmt: skip


def means_table(title: str, found: Sequence[InHand]) -> Table:
    """Money of each means: what is there, and what was returned and is to be taken off."""
    return Table(
        "caisse",
        title,
        (_("Moyen"), _("Règlements"), _("Montant")),
        [(label, count, Cents(cents)) for _means, label, count, cents in _rows(found)],
        (
            _("Net à verser") if any(one.returned for one in found) else _("Total"),
            sum(one.count for one in found),
            Cents(sum(one.amount for one in found)),
        ),
    )


def _rows(found: Sequence[InHand]) -> list[tuple[str, str, int, int]]:
    """Rows of means, label, number and cents; a means has two where some of it was returned."""
    rows = []
    for one in found:
        if one.held or one.held_count or not one.returned:
            rows.append((one.means, means_label(one.means), one.held_count, one.held))
        if one.returned:
            rows.append((one.means, returned_label(one.means), one.returned_count, one.returned))
    return rows


def returned_label(means: str) -> str:
    """Words for what came back of a means after its remittance took it."""
    return _("%(means)s : à déduire, revenu après versement") % {"means": means_label(means)}


__all__ = ["Papers", "means_table", "payments_table", "remittance_state"]
