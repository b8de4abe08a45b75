"""The régie's books: the journal, what it comes to, and the months that are closed.

The journal counts by the moment of recording, which never changes: a month that is over gets no new
entry. Each entry of a year holds a hash over the one before (CHEQUES_AND_FORMATS 3.4), so that the
hash noted with a closed month proves every entry up to it. Names are not part of it: erasing who a
person was (GDPR) must not break the proof.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.payments import Means
from core.clock import today
from core.documents import means_label
from core.domain.money import split_pro_rata
from core.domain.tax import TaxInvoice, TaxLine, line_weights
from core.i18n import gettext as _
from core.models import (
    Allocation,
    Closing,
    Credit,
    Family,
    Invoice,
    InvoiceLine,
    InvoiceState,
    Payment,
)
from core.services.audit import Audit
from core.services.invoices import paid_amount
from core.services.tables import Cents, Table
from core.templating import PARIS
from core.tenancy.config import TenantConfig

THRESHOLD = 1500
"""Cents below which the trésorerie takes no single debt (CGCT art. D1611-1: 15 €)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal. `amount` is in cents, negative when a payment came back."""

    number: int
    at: datetime
    returned: bool
    payment_id: int
    receipt: str
    means: str
    amount: int
    family_code: str
    payer: str
    reference: str
    invoices: str
    reason: str
    hash: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The entries of a month, between the hash before them and the last one."""

    regie: str
    month: date
    before: str
    entries: Sequence[Entry]

    @property
    def hash(self) -> str:
        """The hash after the last entry."""
        return self.entries[-1].hash if self.entries else self.before

    @property
    def collected(self) -> int:
        """Cents that came in."""
        return sum(entry.amount for entry in self.entries if not entry.returned)

    @property
    def returned(self) -> int:
        """Cents that went back, as a positive sum."""
        return -sum(entry.amount for entry in self.entries if entry.returned)


@dataclass(frozen=True, slots=True)
class Checked:
    """A closed month, and whether the journal still says what it said then."""

    closing: Closing
    holds: bool


class Accounts:
    """The books of one town's régies."""

    def __init__(self, session: Session, town: TenantConfig, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._audit = audit

    def regies(self) -> list[str]:
        """Those whose money is counted here, as the town's file orders them."""
        return [key for key in self._town.file.regies if self._town.collects(key)]

    # --- The journal -------------------------------------------------------------------------

    def journal(self, regie: str, month: date) -> Journal:
        """The journal of a month; `month` is its first day."""
        before, entries = "", []
        for entry in self._year(regie, month):
            if today(entry.at) < month:
                before = entry.hash
            else:
                entries.append(entry)
        return Journal(regie, month, before, entries)

    def close(self, regie: str, month: date) -> None:
        """Note for ever what a month came to.

        Raises:
            UserError: the month is not over, or closed already.
        """
        if _next(month) > today(self._clock.now()):
            raise UserError(_("Ce mois n’est pas terminé."))
        journal = self.journal(regie, month)
        closed = self._session.scalar(
            insert(Closing)
            .values(
                tenant_id=self._tenant,
                regie=regie,
                month=month,
                entries=len(journal.entries),
                collected=journal.collected,
                returned=journal.returned,
                hash=journal.hash,
                actor=self._audit.actor,
                closed_at=self._clock.now(),
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "regie", "month"])
            .returning(Closing.id)
        )
        if closed is None:
            raise UserError(_("Ce mois est déjà arrêté."))
        self._audit.write(
            "month.closed", f"closing:{closed}", regie=regie, month=month.isoformat()
        )

    def closing(self, regie: str, month: date) -> Checked | None:
        """The closing of a month, checked against the journal; None when it is open."""
        found = self._session.scalar(
            select(Closing).where(
                Closing.tenant_id == self._tenant, Closing.regie == regie, Closing.month == month
            )
        )
        if found is None:
            return None
        journal = self.journal(regie, month)
        now = (len(journal.entries), journal.collected, journal.returned, journal.hash)
        return Checked(
            found, now == (found.entries, found.collected, found.returned, found.hash)
        )

    def _year(self, regie: str, month: date) -> list[Entry]:
        """The entries from the year's first to the month's last, numbered without gaps."""
        since, until = _midnight(month.replace(month=1)), _midnight(_next(month))
        numbers = (
            select(
                func.string_agg(Invoice.number, aggregate_order_by(literal(" + "), Allocation.id))
            )
            .select_from(Allocation)
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == Allocation.tenant_id, Invoice.id == Allocation.invoice_id
                ),
            )
            .where(Allocation.tenant_id == Payment.tenant_id, Allocation.payment_id == Payment.id)
            .correlate(Payment)
            .scalar_subquery()
        )
        rows = self._session.execute(
            select(Payment, Family.code, numbers)
            .join(
                Family,
                and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id),
            )
            .where(
                Payment.tenant_id == self._tenant,
                Payment.regie == regie,
                or_(
                    and_(Payment.settled_at >= since, Payment.settled_at < until),
                    and_(Payment.reversed_at >= since, Payment.reversed_at < until),
                ),
            )
        ).all()
        events = []
        for payment, code, invoices in rows:
            for at, returned in ((payment.settled_at, False), (payment.reversed_at, True)):
                if at is not None and since <= at < until:
                    events.append((at, payment.id, returned, payment, code, invoices or ""))
        events.sort(key=lambda event: event[:3])
        return _chained(regie, events)

    # --- Tables ------------------------------------------------------------------------------

    def tables(self) -> dict[str, str]:
        """What can be printed or exported, by name, in the order of the page."""
        return {
            "journal": _("Journal des encaissements"),
            "versement": _("État des recettes par moyen de paiement"),
            "imputation": _("État par prestation"),
            "annulations": _("Rejets et annulations"),
            "en-ligne": _("Paiements en ligne par jour"),
            "impayes": _("Impayés à transmettre"),
            "avoirs": _("Recettes à classer (trop-perçus)"),
        }

    def table(self, name: str, regie: str, month: date) -> Table:
        """One of `tables`. Its foot adds up its rows, to the cent."""
        made: dict[str, Any] = {
            "journal": self._journal_table,
            "versement": self._means_table,
            "imputation": self._activity_table,
            "annulations": self._returned_table,
            "en-ligne": self._online_table,
            "impayes": self._unpaid_table,
            "avoirs": self._credit_table,
        }
        table: Table = made[name](regie, month)
        return table

    def _journal_table(self, regie: str, month: date) -> Table:
        journal = self.journal(regie, month)
        notes = [_("Empreinte de la dernière écriture : %(hash)s") % {"hash": journal.hash or "–"}]
        closing = self.closing(regie, month)
        if closing:
            notes.append(
                _("Mois arrêté le %(day)s.") % {"day": today(closing.closing.closed_at)}
            )
        return self._table(
            "journal",
            regie,
            month,
            (
                _("N°"), _("Date"), _("Reçu"), _("Code famille"), _("Payeur"), _("Moyen"),
                _("Référence"), _("Factures"), _("Motif d’annulation"), _("Montant"),
                _("Empreinte"),
            ),
            [
                (
                    entry.number, entry.at, entry.receipt, entry.family_code, entry.payer,
                    means_label(Means(entry.means)), entry.reference, entry.invoices,
                    entry.reason, Cents(entry.amount), entry.hash[:16],
                )
                for entry in journal.entries
            ],
            (None, None, None, None, None, None, None, None, _("Total"),
             Cents(journal.collected - journal.returned), None),
            notes,
        )  # fmt: skip

    def _means_table(self, regie: str, month: date) -> Table:
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for entry in self.journal(regie, month).entries:
            total = sums[entry.means]
            total[0] += not entry.returned
            total[2 if entry.returned else 1] += entry.amount
        rows = [
            (means_label(Means(means)), count, Cents(came), Cents(back), Cents(came + back))
            for means, (count, came, back) in sorted(sums.items())
        ]
        return self._table(
            "versement",
            regie,
            month,
            (_("Moyen"), _("Nombre"), _("Encaissé"), _("Annulé"), _("Net")),
            rows,
            (_("Total"), sum(row[1] for row in rows), *(_sum(rows, i) for i in (2, 3, 4))),
        )

    def _activity_table(self, regie: str, month: date) -> Table:
        since, until = _midnight(month), _midnight(_next(month))
        shares = self._session.execute(
            select(
                Allocation.invoice_id,
                Allocation.amount,
                Payment.settled_at,
                Payment.reversed_at,
                Invoice.amount.label("asked"),
            )
            .join(
                Payment,
                and_(
                    Payment.tenant_id == Allocation.tenant_id, Payment.id == Allocation.payment_id
                ),
            )
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == Allocation.tenant_id, Invoice.id == Allocation.invoice_id
                ),
            )
            .where(Payment.tenant_id == self._tenant, *_in_month(regie, since, until))
        ).all()
        lines = self._lines({share.invoice_id for share in shares})
        cents: dict[str, int] = defaultdict(int)
        for share in shares:
            signed = _net(share, since, until)
            invoice = TaxInvoice(share.invoice_id, share.asked, tuple(lines[share.invoice_id]))
            weights = line_weights(invoice)
            weights.append(max(share.asked - sum(weights), 0))
            # The same split on the way in and out, so that what came back leaves nothing behind.
            parts = split_pro_rata(share.amount, weights)
            names = [line.activity for line in invoice.lines] + [_("Sans détail")]
            for name, part in zip(names, parts, strict=True):
                cents[name] += part * signed
        cents[_("Trop-perçus")] += sum(
            credit.amount * _net(credit, since, until)
            for credit in self._session.execute(
                select(Credit.amount, Payment.settled_at, Payment.reversed_at)
                .join(
                    Payment,
                    and_(Payment.tenant_id == Credit.tenant_id, Payment.id == Credit.payment_id),
                )
                .where(Payment.tenant_id == self._tenant, *_in_month(regie, since, until))
            )
        )
        rows = [(name, Cents(amount)) for name, amount in sorted(cents.items()) if amount]
        return self._table(
            "imputation",
            regie,
            month,
            (_("Prestation"), _("Net")),
            rows,
            (_("Total"), _sum(rows, 1)),
            [_("Un règlement partiel est réparti entre les lignes de sa facture, au prorata.")],
        )

    def _lines(self, invoice_ids: set[int]) -> dict[int, list[TaxLine]]:
        found: dict[int, list[TaxLine]] = defaultdict(list)
        for line in self._session.scalars(
            select(InvoiceLine)
            .where(
                InvoiceLine.tenant_id == self._tenant, InvoiceLine.invoice_id.in_(invoice_ids)
            )
            .order_by(InvoiceLine.invoice_id, InvoiceLine.rank)
        ):
            found[line.invoice_id].append(
                TaxLine(line.child_id, line.activity, care=False, amount=line.amount)
            )
        return found

    def _returned_table(self, regie: str, month: date) -> Table:
        rows = [
            (entry.at, entry.receipt, entry.family_code, entry.payer,
             means_label(Means(entry.means)), entry.reason, Cents(entry.amount))
            for entry in self.journal(regie, month).entries
            if entry.returned
        ]  # fmt: skip
        return self._table(
            "annulations",
            regie,
            month,
            (
                _("Date"), _("Reçu"), _("Code famille"), _("Payeur"), _("Moyen"), _("Motif"),
                _("Montant"),
            ),
            rows,
            (_("Total"), None, None, None, None, None, _sum(rows, 6)),
        )  # fmt: skip

    def _online_table(self, regie: str, month: date) -> Table:
        days: dict[tuple[date, str], list[int]] = defaultdict(lambda: [0, 0])
        for entry in self.journal(regie, month).entries:
            if entry.means in {Means.CARD, Means.ONLINE_DEBIT} and not entry.returned:
                total = days[today(entry.at), entry.means]
                total[0] += 1
                total[1] += entry.amount
        rows = [
            (day, means_label(Means(means)), count, Cents(cents))
            for (day, means), (count, cents) in sorted(days.items())
        ]
        return self._table(
            "en-ligne",
            regie,
            month,
            (_("Jour"), _("Moyen"), _("Nombre"), _("Montant")),
            rows,
            (_("Total"), None, sum(row[2] for row in rows), _sum(rows, 3)),
        )

    def _unpaid_table(self, regie: str, month: date) -> Table:
        paid = paid_amount()
        found = self._session.execute(
            select(Invoice, Family, paid.label("paid"))
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.regie == regie,
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.kind == "facture",
                Invoice.due_on < min(_next(month), today(self._clock.now())),
                Invoice.amount > paid,
            )
            .order_by(Family.code, Invoice.due_on, Invoice.id)
        ).all()
        owed: dict[int, int] = defaultdict(int)
        for row in found:
            owed[row.Family.id] += row.Invoice.amount - int(row.paid)
        rows = [
            (
                row.Family.name, ", ".join(row.Family.address), row.Family.code,
                row.Invoice.number, row.Invoice.payment_reference, row.Invoice.label,
                row.Invoice.issued_on, row.Invoice.due_on, Cents(row.Invoice.amount),
                Cents(int(row.paid)), Cents(row.Invoice.amount - int(row.paid)),
                _("oui") if owed[row.Family.id] < THRESHOLD else "",
            )
            for row in found
        ]  # fmt: skip
        return self._table(
            "impayes",
            regie,
            month,
            (
                _("Débiteur"), _("Adresse"), _("Code famille"), _("Facture"), _("Référence"),
                _("Objet"), _("Émise le"), _("Échéance"), _("Montant"), _("Payé"), _("Reste dû"),
                _("Moins de 15 € en tout"),
            ),
            rows,
            (_("Total"), None, None, None, None, None, None, None,
             *(_sum(rows, i) for i in (8, 9, 10)), None),
        )  # fmt: skip

    def _credit_table(self, regie: str, month: date) -> Table:
        rows = [
            (row.Credit.created_at, row.Family.code, row.Family.name, row.receipt_number,
             (today(self._clock.now()) - today(row.Credit.created_at)).days,
             Cents(row.Credit.amount))
            for row in self._session.execute(
                select(Credit, Family, Payment.receipt_number)
                .join(
                    Family,
                    and_(Family.tenant_id == Credit.tenant_id, Family.id == Credit.family_id),
                )
                .join(
                    Payment,
                    and_(Payment.tenant_id == Credit.tenant_id, Payment.id == Credit.payment_id),
                )
                .where(
                    Credit.tenant_id == self._tenant,
                    Credit.regie == regie,
                    Credit.reversed_at.is_(None),
                    Credit.created_at < _midnight(_next(month)),
                )
                .order_by(Credit.id)
            )
        ]  # fmt: skip
        return self._table(
            "avoirs",
            regie,
            month,
            (
                _("Date"), _("Code famille"), _("Famille"), _("Reçu"), _("Âge (jours)"),
                _("Montant"),
            ),
            rows,
            (_("Total"), None, None, None, None, _sum(rows, 5)),
        )  # fmt: skip

    def _table(
        self,
        name: str,
        regie: str,
        month: date,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        foot: Sequence[Any],
        notes: Sequence[str] = (),
    ) -> Table:
        title = f"{self.tables()[name]} – {self._town.regie_label(regie)} – {month:%m/%Y}"
        return Table(
            f"{name}-{regie.lower()}-{month:%Y-%m}", title, columns, rows, foot, notes
        )


def _chained(regie: str, events: Sequence[tuple[Any, ...]]) -> list[Entry]:
    entries: list[Entry] = []
    last = ""
    for number, (at, _id, returned, payment, code, invoices) in enumerate(events, start=1):
        amount = -payment.amount if returned else payment.amount
        facts = (
            last, regie, number, at.isoformat(), int(returned), payment.receipt_number,
            payment.means, amount, code,
        )  # fmt: skip
        last = hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()
        entries.append(
            Entry(
                number=number,
                at=at,
                returned=returned,
                payment_id=payment.id,
                receipt=payment.receipt_number,
                means=payment.means,
                amount=amount,
                family_code=code,
                payer=payment.payer,
                reference=payment.authorisation or payment.note,
                invoices=invoices,
                reason=payment.reversal_reason if returned else "",
                hash=last,
            )
        )
    return entries


def _in_month(regie: str, since: datetime, until: datetime) -> tuple[Any, ...]:
    """SQL: `Payment` was recorded in the month, or came back in it."""
    return (
        Payment.regie == regie,
        or_(
            and_(Payment.settled_at >= since, Payment.settled_at < until),
            and_(Payment.reversed_at >= since, Payment.reversed_at < until),
        ),
    )


def _net(row: Any, since: datetime, until: datetime) -> int:
    """1 when the money came in the month, -1 when it went back, 0 when both."""
    came = row.settled_at is not None and since <= row.settled_at < until
    went = row.reversed_at is not None and since <= row.reversed_at < until
    return int(came) - int(went)


def _sum(rows: Sequence[Sequence[Any]], column: int) -> Cents:
    return Cents(sum(row[column] for row in rows))


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS)
