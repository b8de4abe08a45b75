"""The statements that a régisseur hands over: each a table, made from rows that one can open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from core.api.context import Clock
from core.api.payments import Means
from core.books.activities import Activities, Part
from core.books.closings import Closings
from core.books.entries import ALL, Chosen, Entries, Entry
from core.books.models import Remittance
from core.books.owed import Owed
from core.books.period import Period
from core.books.remittances import Remittances
from core.invoices.handling import HANDED_OVER, TAKEN_BACK
from core.journal.models import EntryKind
from core.platform.clock import today
from core.platform.documents.render import signatures
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Number, Opens, Table
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig

ONLINE = (Means.CARD, Means.ONLINE_DEBIT)


def labels() -> dict[str, str]:
    """Labels of all that can be printed or exported, by name, in the order of the page."""
    return {
        "journal": _("Journal des encaissements"),
        "moyens": _("Encaissements par moyen de paiement"),
        "versements": _("Versements"),
        "caisse": _("Situation de caisse"),
        "cheques": _("Chèques encaissés"),
        "imputation": _("État par imputation"),
        "annulations": _("Rejets, annulations et remboursements"),
        "en-ligne": _("Paiements en ligne par jour"),
        "impayes": _("Impayés à titrer"),
        "transmis": _("Transmis à la trésorerie"),
        "avoirs": _("Recettes à classer"),
        "arrete": _("Arrêté mensuel"),
    }


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one town. `names` are its agents, by actor."""

    town: TenantConfig
    clock: Clock
    entries: Entries
    activities: Activities
    owed: Owed
    closings: Closings
    remittances: Remittances
    names: Callable[[], Mapping[str, str]]

    def make(self, name: str, period: Period) -> Table:
        """One of `labels`. Its foot adds up its rows, to the cent."""
        made: dict[str, Callable[[Period], Table]] = {
            "journal": self.journal,
            "moyens": self.by_means,
            "versements": self.remitted,
            "caisse": self.till,
            "cheques": self.cheques,
            "imputation": self.imputation,
            "annulations": self.returned,
            "en-ligne": self.online,
            "impayes": self.late,
            "transmis": self.handed_over,
            "avoirs": self.unsorted,
            "arrete": self.month,
        }
        return made[name](period)

    def journal(self, period: Period) -> Table:
        """Every entry, with the hash that chains it to the one before."""
        found = self.entries.read(period, remittances=True)
        last = found[-1].hash if found else self.entries.hash_before(period)
        notes = [_("Empreinte de la dernière écriture : %(hash)s") % {"hash": last or "–"}]
        closing = self.closings.get(period)
        if closing:
            notes.append(_("Mois arrêté le %(day)s.") % {"day": _date(closing.closed_at)})
        names = self.names()
        return self._table(
            "journal",
            period,
            (
                _("N°"), _("Date"), _("Reçu"), _("Nature"), _("Code famille"), _("Payeur"),
                _("Moyen"), _("Référence"), _("Factures"), _("Motif"), _("Saisi par"),
                _("Montant"), _("Versé"), _("Empreinte"),
            ),
            [
                (
                    Number(entry.number), entry.at, entry.receipt, kind_label(entry.kind),
                    entry.family_code, entry.payer, means_label(entry.means), entry.reference,
                    entry.invoices, entry.reason, names.get(entry.actor, entry.actor),
                    Cents(entry.money) if entry.remittance_id is None else None,
                    None if entry.remittance_id is None else Cents(entry.remitted),
                    entry.hash[:16],
                )
                for entry in found
            ],
            (
                _("Total"), *[None] * 10, Cents(sum(entry.money for entry in found)),
                Cents(sum(entry.remitted for entry in found)), None,
            ),
            notes,
            _opened(found),
            brief=(0, 1, 2, 5, 6, 8, 10, 11, 12),
        )  # fmt: skip

    def by_means(self, period: Period) -> Table:
        """Sums of each means. It is no *bordereau de versement*, which has its number."""
        by_means = self.entries.by_means(period)
        rows = [
            (means_label(means), sums.count, Cents(sums.came), Cents(sums.went), Cents(sums.net))
            for means, sums in by_means.items()
        ]
        return self._table(
            "moyens",
            period,
            (_("Moyen"), _("Nombre"), _("Encaissé"), _("Rendu"), _("Net")),
            rows,
            (_("Total"), sum(row[1] for row in rows), *(_sum(rows, i) for i in (2, 3, 4))),
            opens=[("entries", urlencode({"moyen": means})) for means in by_means],
            paper=signatures(),
        )

    def till(self, period: Period) -> Table:
        """Money in hand by means: before the period, what moved in it, and at its end.

        What was returned after it left is not there: it is shown apart, to be taken off.
        """
        found = self.entries.till(period)
        returned = self.remittances.returned(period.regie, period.until)
        rows = [
            (means_label(means), *map(Cents, (before, came, went, left)),
             Cents(before + came + went - left), Cents(returned.get(means, 0)),
             Cents(before + came + went - left - returned.get(means, 0)))
            for means, (before, came, went, left) in found.items()
        ]  # fmt: skip
        notes = [returned_rule()] if returned else []
        regie = self.town.file.regies.get(period.regie)
        if regie and regie.cash_float:
            notes.append(
                _("Le fonds de caisse, %(amount)s, n’est pas dans ces sommes.")
                % {"amount": money(regie.cash_float)}
            )
        return self._table(
            "caisse",
            period,
            (
                _("Moyen"), _("Solde au début"), _("Encaissé"), _("Rendu"), _("Versé"),
                _("Solde à la fin"), _("Dont à déduire"), _("En caisse à la fin"),
            ),
            rows,
            (_("Total"), *(_sum(rows, i) for i in range(1, 8))),
            notes,
            [("entries", urlencode({"moyen": means})) for means in found],
            signatures(),
        )  # fmt: skip

    def remitted(self, period: Period) -> Table:
        """The remittances that were made, and the counter-entries of those that were cancelled.

        Each stands in the period in which it happened, as in the journal: a closed month reads the
        same for ever, and what is cancelled after it is taken off in the month of the cancellation.
        """
        found = self.remittances.acts(period.regie, period.since, period.until)
        names = self.names()
        rows = []
        for act in found:
            one = act.Remittance
            back = act.kind == EntryKind.REMITTANCE_UNDONE
            actor = one.cancelled_by if back else one.actor
            rows.append(
                (
                    one.name, act.at, kind_label(act.kind),
                    f"{one.since:%d/%m/%Y} – {one.until:%d/%m/%Y}", names.get(actor, actor),
                    one.cancel_reason if back else remittance_state(one), one.carrier,
                    Cents(act.cents),
                )
            )  # fmt: skip
        return self._table(
            "versements",
            period,
            (
                _("N°"), _("Date"), _("Nature"), _("Recettes du – au"), _("Établi par"),
                _("État ou motif"), _("Emporté par"), _("Versé"),
            ),
            rows,
            (_("Total"), *[None] * 6, _sum(rows, 7)),
            [
                _(
                    "Un versement annulé reste dans le mois où il a été établi ; son annulation "
                    "est déduite le jour où elle est inscrite au journal."
                )
            ]
            if any(act.Remittance.cancelled_at for act in found)
            else (),
            [("remittance", act.Remittance.id) for act in found],
            brief=(0, 1, 2, 3, 5, 7),
        )  # fmt: skip

    def cheques(self, period: Period) -> Table:
        """The cheques that came in, one a line, each with the remittance that took it."""
        found = self.entries.read(period, Chosen(means=Means.CHEQUE, came=True))
        places = self.remittances.places(
            {entry.payment_id for entry in found if entry.payment_id}, Means.CHEQUE
        )
        return self._table(
            "cheques",
            period,
            (
                _("Rang"), _("Date"), _("Reçu"), _("Émetteur"), _("N° et banque"),
                _("Versement"), _("Montant"),
            ),
            [
                (
                    rank, entry.at, entry.receipt, entry.payer, entry.reference,
                    _place(places.get(entry.payment_id or 0)), Cents(entry.amount),
                )
                for rank, entry in enumerate(found, start=1)
            ],
            (
                _("Total"), None, None, None, None,
                _("Nombre de chèques : %(count)s")
                % {"count": sum(1 if entry.amount > 0 else -1 for entry in found)},
                Cents(sum(entry.amount for entry in found)),
            ),
            opens=_opened(found),
            paper=signatures(),
        )  # fmt: skip

    def imputation(self, period: Period) -> Table:
        """Sum of each *exercice* and activity, with the account that the town's file gives it."""
        rows, opens = self.activity_rows(period.regie, self.activities.parts(period))
        return self._table(
            "imputation",
            period,
            (_("Exercice"), _("Imputation"), _("Prestation"), _("Net")),
            rows,
            (_("Total"), None, None, _sum(rows, 3)),
            [_("Un règlement partiel est réparti entre les lignes de sa facture, au prorata.")],
            opens,
        )

    def parts(self, period: Period, activity: str, exercice: int | None = None) -> Table:
        """The rows that make one figure of `imputation`."""
        found = [
            part
            for part in self.activities.parts(period)
            if part.activity == activity and exercice in {None, part.exercice}
        ]
        return self._table(
            "imputation",
            period,
            (_("Date"), _("Reçu"), _("Payeur"), _("Facture"), _("Part")),
            [
                (part.at, part.receipt, part.payer, part.invoice, Cents(part.amount))
                for part in found
            ],
            (_("Total"), None, None, None, Cents(sum(part.amount for part in found))),
            opens=[("payment", part.payment_id) for part in found],
        )

    def returned(self, period: Period) -> Table:
        """Money that came back or was given back: the payment it undoes, the day, the reason."""
        found = self.entries.read(period, Chosen(came=False))
        rows = [
            (
                entry.at, kind_label(entry.kind), entry.receipt, entry.settled_at,
                entry.family_code, entry.payer, means_label(entry.means), entry.reason,
                Cents(entry.amount),
            )
            for entry in found
        ]  # fmt: skip
        return self._table(
            "annulations",
            period,
            (
                _("Date"), _("Nature"), _("Reçu"), _("Encaissé le"), _("Code famille"),
                _("Payeur"), _("Moyen"), _("Motif"), _("Montant"),
            ),
            rows,
            (_("Total"), *[None] * 7, _sum(rows, 8)),
            opens=_opened(found),
            brief=(0, 1, 2, 5, 6, 7, 8),
        )  # fmt: skip

    def online(self, period: Period) -> Table:
        """Sums paid online by day, to be compared with the account."""
        by_day = self.entries.by_day(period, ONLINE)
        rows = [
            (day, means_label(means), sums.count, Cents(sums.came))
            for (day, means), sums in by_day.items()
        ]
        return self._table(
            "en-ligne",
            period,
            (_("Jour"), _("Moyen"), _("Nombre"), _("Montant")),
            rows,
            (_("Total"), None, sum(row[2] for row in rows), _sum(rows, 3)),
            opens=[
                ("entries", urlencode({"moyen": means, "jour": day, "sens": "recu"}))
                for day, means in by_day
            ],
        )

    def late(self, period: Period) -> Table:
        """Unpaid invoices that are to become a *titre*, debtor by debtor."""
        found = self.owed.late(period)
        small = self.owed.small(found)
        rows = [
            (
                row.Family.name, ", ".join(row.Family.address), row.Family.code,
                row.Invoice.number, row.Invoice.payment_reference, row.Invoice.label,
                row.Invoice.issued_on, row.Invoice.due_on, row.reminders,
                Cents(row.Invoice.amount), Cents(row.credited), Cents(row.paid), Cents(row.left),
                _("oui") if row.Family.id in small else "",
            )
            for row in found
        ]  # fmt: skip
        return self._table(
            "impayes",
            period,
            (
                _("Débiteur"), _("Adresse"), _("Code famille"), _("Facture"), _("Référence"),
                _("Objet"), _("Émise le"), _("Échéance"), _("Rappels"), _("Montant"), _("Avoirs"),
                _("Payé"), _("Reste dû"), _("Moins de 15 € en tout"),
            ),
            rows,
            (_("Total"), *[None] * 8, *(_sum(rows, i) for i in (9, 10, 11, 12)), None),
            opens=[("invoice", row.Invoice.id) for row in found],
            brief=(0, 2, 3, 7, 8, 12, 13),
        )  # fmt: skip

    def handed_over(self, period: Period) -> Table:
        """Invoices passed to the trésorerie, numbered in the period: day, author, balance left.

        What was taken back later is a line of its own, below zero; so is what was added to it, or
        taken off, because more or less was left when its list was made.
        """
        found = self.owed.handed_over(period)
        names = self.names()
        rows = []
        for number, row in enumerate(found, start=1):
            back = row.AuditEntry.action == TAKEN_BACK
            cents = int(row.AuditEntry.details.get("amount", row.left))
            cents = -cents if back else cents
            rows.append(
                (
                    f"{period.stamp}-{number:03d}",
                    row.AuditEntry.at,
                    _handover_label(row.AuditEntry.action, cents),
                    names.get(row.AuditEntry.actor, _by_itself(row.AuditEntry.actor)),
                    row.Family.name, ", ".join(row.Family.address), row.Family.code,
                    row.Invoice.number, row.Invoice.payment_reference, row.Invoice.label,
                    row.Invoice.due_on, Cents(cents),
                )
            )  # fmt: skip
        return self._table(
            "transmis",
            period,
            (
                _("N°"), _("Date"), _("Nature"), _("Saisi par"), _("Débiteur"), _("Adresse"),
                _("Code famille"), _("Facture"), _("Référence"), _("Objet"), _("Échéance"),
                _("Reste dû"),
            ),
            rows,
            (_("Total"), *[None] * 10, _sum(rows, 11)),
            opens=[("invoice", row.Invoice.id) for row in found],
            brief=(0, 1, 2, 3, 4, 7, 10, 11),
        )  # fmt: skip

    def unsorted(self, period: Period) -> Table:
        """Money that pays nothing yet: whose it is, why, and since when."""
        found = self.owed.unsorted(period)
        day = today(self.clock.now())
        rows = [
            (
                row.Credit.created_at, row.Family.code if row.Family else "",
                row.Family.name if row.Family else row.Payment.payer, row.Payment.receipt_number,
                means_label(row.Payment.means), _why(row),
                (day - today(row.Credit.created_at)).days, Cents(row.left),
            )
            for row in found
        ]  # fmt: skip
        return self._table(
            "avoirs",
            period,
            (
                _("Date"), _("Code famille"), _("Famille"), _("Reçu"), _("Moyen"), _("Motif"),
                _("Âge (jours)"), _("Reste"),
            ),
            rows,
            (_("Total"), *[None] * 6, _sum(rows, 7)),
            opens=[("credit", row.Credit.id) for row in found],
            brief=(0, 2, 3, 5, 6, 7),
        )  # fmt: skip

    def month(self, period: Period) -> Table:
        """The month's closing: what each means came to before, in and after it."""
        opening = self.entries.since_new_year(period)
        by_means = self.entries.by_means(period)
        rows = []
        for means in sorted({*opening, *by_means}):
            before = int(opening.get(means, 0))
            sums = by_means.get(means)
            came, went = (sums.came, sums.went) if sums else (0, 0)
            rows.append(
                (means_label(means), Cents(before), Cents(came), Cents(went),
                 Cents(before + came + went))
            )  # fmt: skip
        return self._table(
            "arrete",
            period,
            (
                _("Moyen"), _("Report depuis le 1er janvier"), _("Encaissé"), _("Rendu"),
                _("Cumul"),
            ),
            rows,
            (_("Total"), *(_sum(rows, i) for i in (1, 2, 3, 4))),
            self._proof(period),
            [("entries", urlencode({"moyen": means})) for means in sorted({*opening, *by_means})],
            signatures(),
        )  # fmt: skip

    def _proof(self, period: Period) -> list[str]:
        first, last = self.entries.ends(period)
        notes = []
        if first and last:
            notes.append(
                _("Écritures n° %(first)s à n° %(last)s ; dernier reçu : %(receipt)s.")
                % {"first": first.number, "last": last.number, "receipt": last.receipt}
            )
        digest = last.hash if last else self.entries.hash_before(period)
        notes.append(_("Empreinte de la dernière écriture : %(hash)s") % {"hash": digest or "–"})
        closing = self.closings.get(period)
        if closing:
            who = self.names().get(closing.actor, closing.actor)
            notes.append(
                _("Arrêté le %(day)s par %(who)s.")
                % {"day": _date(closing.closed_at), "who": who}
            )
        elif not period.whole_year:
            notes.append(_("Mois non arrêté : ces chiffres sont provisoires."))
        return notes

    def activity_rows(
        self, regie: str, parts: Sequence[Part]
    ) -> tuple[list[tuple[str, str, str, Cents]], list[Opens]]:
        """Rows of *exercice*, account, activity and cents, and where each leads."""
        codes = self._codes(regie)
        cents: dict[tuple[int, str], int] = defaultdict(int)
        for part in parts:
            cents[part.exercice, part.activity] += part.amount
        keys = sorted(cents, key=lambda key: (key[0], codes.get(key[1], ""), key[1]))
        return (
            [
                (str(year), codes.get(name, ""), name, Cents(cents[year, name]))
                for year, name in keys
            ],
            [
                ("activity", urlencode({"prestation": name, "exercice": year}))
                for year, name in keys
            ],
        )

    def _codes(self, regie: str) -> Mapping[str, str]:
        found = self.town.file.regies.get(regie)
        return found.imputation if found else {}

    def _table(
        self,
        name: str,
        period: Period,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        foot: Sequence[Any],
        notes: Sequence[str] = (),
        opens: Sequence[Opens | None] = (),
        paper: str = "",
        brief: Sequence[int] = (),
    ) -> Table:
        title = f"{labels()[name]} – {self.town.regie_label(period.regie)} – {period}"
        return Table(
            f"{name}-{period.stamp}", title, columns, rows, foot, notes, opens, paper, brief
        )


def returned_rule() -> str:
    """The rule about money that came back after its remittance took it, for a page or a paper."""
    return _(
        "Un règlement revenu après son versement (chèque rejeté…) n’est plus en caisse : la banque "
        "ou la trésorerie en a repris la somme. Elle se déduit du prochain versement de ce moyen."
    )


def _handover_label(action: str, cents: int) -> str:
    if action == TAKEN_BACK:
        return _("Reprise")
    if action == HANDED_OVER:
        return _("Transmission")
    return _("Complément") if cents > 0 else _("Réduction")


def _by_itself(actor: str) -> str:
    """Author of a handover that no known agent did: the calendar, or the operator."""
    return _("Automatique") if actor == "system" else actor


def entry_table(found: Sequence[Entry], sums: Any) -> Table:
    """Entries on a page, in and out apart; `sums` are those of all that were asked for."""
    return Table(
        "ecritures",
        _("Écritures"),
        (
            _("N°"), _("Date"), _("Reçu"), _("Nature"), _("Payeur"), _("Moyen"), _("Encaissé"),
            _("Rendu"),
        ),
        [
            (
                Number(entry.number), entry.at, entry.receipt, kind_label(entry.kind), entry.payer,
                means_label(entry.means), Cents(entry.came), Cents(entry.went),
            )
            for entry in found
        ],
        (_("Total"), *[None] * 5, Cents(sums.came), Cents(sums.went)),
        opens=_opened(found),
    )  # fmt: skip


def kind_label(kind: str) -> str:
    """Words for what an entry records."""
    return {
        EntryKind.SETTLED: _("Encaissement"),
        EntryKind.CORRECTED: _("Moyen corrigé"),
        EntryKind.REVERSED: _("Annulation"),
        EntryKind.REFUNDED: _("Remboursement"),
        EntryKind.REFUND_UNDONE: _("Remboursement annulé"),
        EntryKind.REMITTED: _("Versement"),
        EntryKind.REMITTANCE_UNDONE: _("Versement annulé"),
    }[EntryKind(kind)]


def remittance_state(one: Remittance) -> str:
    """State of a remittance in words."""
    if one.cancelled_at:
        return _("Annulé le %(day)s") % {"day": _date(one.cancelled_at)}
    return _("Parti") if one.left_at else _("En caisse, prêt à partir")


def _why(row: Any) -> str:
    if row.left < 0:
        return _("Remboursé, puis règlement rejeté : à récupérer")
    if row.Credit.invoice_id is not None:
        return _("Avoir sur une facture déjà réglée")
    if row.Family is None:
        return _("Payeur à identifier")
    return _("Trop-perçu")


def _opened(found: Sequence[Entry]) -> list[Opens | None]:
    return [
        ("payment", entry.payment_id)
        if entry.payment_id is not None
        else ("remittance", entry.remittance_id or 0)
        for entry in found
    ]


def _place(remittance: str | None) -> str:
    """Place of a payment's money: a remittance, the till (""), or none (None)."""
    return _("annulé") if remittance is None else remittance or _("en caisse")


def _sum(rows: Sequence[Sequence[Any]], column: int) -> Cents:
    return Cents(sum(row[column] for row in rows))


def _date(moment: Any) -> str:
    return f"{today(moment):%d/%m/%Y}"


__all__ = ["ALL", "ONLINE", "Statements", "entry_table", "kind_label", "labels"]
