"""Recurring direct debits: what the bank took, noted in bulk, and what it sent back.

The trésorerie or the bank debits by a file of its own. An invoice under debit is collected on its
day; nothing is known of it here before an agent, or a file, says that the bank took it or sent it
back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.debits.models import DebitRejection
from core.debits.reasons import reason_words, reject_words
from core.domain.direct_debits import RejectReason, reject_code
from core.domain.figures import Sum
from core.domain.payment_states import PaymentState
from core.families.models import Family
from core.invoices.lists import invoice_rows
from core.invoices.locks import balance_due, lock_invoices
from core.invoices.models import Invoice, InvoiceState
from core.invoices.service import debit_day, is_under_debit
from core.payments.ledger import GivenPayment, Ledger
from core.payments.models import Allocation, Payment, PaymentItem, is_held, items_with_payments
from core.payments.service import Payments
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, today
from core.platform.db.paging import Page, read_page
from core.platform.i18n import gettext as _
from core.platform.plugins.events import Events
from core.platform.tenancy.config import TenantConfig

MAX_AT_ONCE = 200
"""Invoices of a page, which are noted in one transaction."""
RUNS_SINCE = timedelta(days=400)
"""Time that runs are listed: a school year, and what is late of it."""
NOON = time(12)
NONE = Sum(0, 0)
REJECTED = "debit_rejected"
"""Kind of the message about a debit that came back before it was noted."""


@dataclass(frozen=True, slots=True)
class Run:
    """The debits of a régie on one day, seen as one thing."""

    regie: str
    day: date
    waiting: Sum = NONE
    """Neither noted nor sent back."""
    settled: Sum = NONE
    rejected: Sum = NONE
    otherwise: Sum = NONE
    """Invoices under debit that were paid otherwise."""

    @property
    def total(self) -> Sum:
        """All of them."""
        parts = (self.waiting, self.settled, self.rejected, self.otherwise)
        return Sum(sum(part.count for part in parts), sum(part.cents for part in parts))


@dataclass(frozen=True, slots=True)
class Settled:
    """Debits that one act noted: number and cents; `left_out` were no longer to be noted."""

    count: int
    cents: int
    left_out: int


def is_debit_of(invoice_id: Any) -> ColumnElement[bool]:
    """SQL: `Payment` is a debit of the invoice that is noted and in force."""
    return and_(
        Payment.means == Means.DIRECT_DEBIT,
        Payment.state == PaymentState.SETTLED,
        PaymentItem.invoice_id == invoice_id,
    )


class Debits:
    """The recurring direct debits of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        ledger: Ledger,
        payments: Payments,
        events: Events,
        audit: Audit,
        is_closed: Callable[[str, date], bool],
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._ledger = ledger
        self._payments = payments
        self._events = events
        self._audit = audit
        self._is_closed = is_closed

    # --- Runs --------------------------------------------------------------------------------

    def runs(self) -> Sequence[Run]:
        """Runs of the last year, by day and régie, the latest first."""
        since = today(self._clock.now()) - RUNS_SINCE
        return sorted(
            self._runs(debit_day() >= since, DebitRejection.debit_day >= since),
            key=lambda run: (run.day, run.regie),
            reverse=True,
        )

    def run(self, regie: str, day: date) -> Run:
        """One run; all its sums are zero if nothing is debited that day."""
        found = self._runs(
            and_(Invoice.regie == regie, debit_day() == day),
            and_(DebitRejection.regie == regie, DebitRejection.debit_day == day),
        )
        return found[0] if found else Run(regie, day)

    def _runs(self, chosen: ColumnElement[bool], rejected: ColumnElement[bool]) -> list[Run]:
        found: defaultdict[tuple[str, date], dict[str, Sum]] = defaultdict(dict)
        mine = and_(Invoice.tenant_id == self._tenant, chosen)
        run = (Invoice.regie, debit_day())
        noted = exists().where(
            items_with_payments(),
            PaymentItem.tenant_id == Invoice.tenant_id,
            is_debit_of(Invoice.id),
        )
        queries = {
            "waiting": select(*run, func.count(), func.sum(Invoice.left)).where(
                mine, is_under_debit()
            ),
            "settled": select(*run, func.count(), func.sum(Payment.amount))
            .join(
                PaymentItem,
                and_(
                    PaymentItem.tenant_id == Invoice.tenant_id,
                    PaymentItem.invoice_id == Invoice.id,
                ),
            )
            .join(Payment, items_with_payments())
            .where(mine, is_debit_of(Invoice.id)),
            "otherwise": select(
                *run, func.count(), func.sum(func.greatest(Invoice.amount - Invoice.credited, 0))
            ).where(
                mine,
                Invoice.direct_debit,
                Invoice.state == InvoiceState.PUBLISHED,
                Invoice.kind == InvoiceKind.INVOICE,
                Invoice.left <= 0,
                ~noted,
            ),
        }
        counted = {part: query.group_by(*run) for part, query in queries.items()}
        counted["rejected"] = (
            select(
                DebitRejection.regie,
                DebitRejection.debit_day,
                func.count(),
                func.sum(DebitRejection.amount),
            )
            .where(DebitRejection.tenant_id == self._tenant, rejected)
            .group_by(DebitRejection.regie, DebitRejection.debit_day)
        )
        for part, query in counted.items():
            for regie, day, count, cents in self._session.execute(query):
                found[regie, day][part] = Sum(count, int(cents))
        return [Run(regie, day, **parts) for (regie, day), parts in found.items()]

    def waiting(self, regie: str, day: date, *, before: int | None = None) -> Page:
        """The invoices of a day, with family and `left`, page by page."""
        query = invoice_rows(self._tenant).where(
            Invoice.regie == regie, debit_day() == day, is_under_debit()
        )
        if before is not None:
            query = query.where(Invoice.id < before)
        return read_page(
            self._session,
            query.order_by(Invoice.id.desc()),
            MAX_AT_ONCE,
            lambda row: row.Invoice.id,
        )

    def noted(self, regie: str, day: date) -> Sequence[Any]:
        """The debits of a day that are noted and in force, with family: one may come back."""
        return self._session.execute(
            select(Payment, Family)
            .join(
                Family,
                and_(Family.tenant_id == Payment.tenant_id, Family.id == Payment.family_id),
            )
            .join(PaymentItem, items_with_payments())
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == PaymentItem.tenant_id,
                    Invoice.id == PaymentItem.invoice_id,
                ),
            )
            .where(
                Payment.tenant_id == self._tenant,
                Payment.regie == regie,
                is_debit_of(Invoice.id),
                debit_day() == day,
            )
            .order_by(Payment.id.desc())
            .limit(MAX_AT_ONCE)
        ).all()

    def rejections(self, regie: str, day: date) -> Sequence[Any]:
        """Debits of a day that came back, with invoice and family, the latest first."""
        return self._session.execute(
            select(DebitRejection, Invoice, Family)
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == DebitRejection.tenant_id,
                    Invoice.id == DebitRejection.invoice_id,
                ),
            )
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(
                DebitRejection.tenant_id == self._tenant,
                DebitRejection.regie == regie,
                DebitRejection.debit_day == day,
            )
            .order_by(DebitRejection.id.desc())
            .limit(MAX_AT_ONCE)
        ).all()

    def was_debited(self, invoice_id: int) -> bool:
        """True if a debit of the invoice was noted once, or came back."""
        debited = exists(select(PaymentItem.id)).where(
            items_with_payments(),
            PaymentItem.tenant_id == self._tenant,
            PaymentItem.invoice_id == invoice_id,
            Payment.means == Means.DIRECT_DEBIT,
        )
        came_back = exists(select(DebitRejection.id)).where(
            DebitRejection.tenant_id == self._tenant, DebitRejection.invoice_id == invoice_id
        )
        return any(self._session.scalar(select(one)) for one in (debited, came_back))

    def reasons(self) -> dict[RejectReason, str]:
        """Reasons of rejections, in words."""
        return reject_words()

    def reason_of(self, payment_id: int) -> str:
        """The reason why a debit came back, in words; "" if this payment is none that did."""
        code = self._session.scalar(
            select(DebitRejection.code).where(
                DebitRejection.tenant_id == self._tenant, DebitRejection.payment_id == payment_id
            )
        )
        return reason_words(code) if code else ""

    # --- Acts --------------------------------------------------------------------------------

    def settle(self, regie: str, invoice_ids: Sequence[int], *, debited_on: date) -> Settled:
        """Note that the bank took what is left of these invoices: each once, whatever is asked.

        What is no longer to be debited (paid, withdrawn, being paid) is passed over and counted.

        Raises:
            UserError: the trésorerie collects this régie, the day has not come, lies before an
                invoice or in a month that is closed.
        """
        self.check(regie)
        if self._is_closed(regie, debited_on):
            raise UserError(
                _("Le mois de cette date est arrêté : enregistrez le règlement à la date du jour.")
            )
        if debited_on > today(self._clock.now()):
            raise UserError(_("Cette date n’est pas encore venue."))
        locked = lock_invoices(self._session, self._tenant, invoice_ids)
        names = self.names({invoice.family_id for invoice in locked.values()})
        count = cents = 0
        for invoice in locked.values():
            left = balance_due(invoice.state, invoice.left)
            if (
                invoice.regie != regie
                or not invoice.direct_debit
                or left <= 0
                or self._session.scalar(select(is_held(self._tenant, invoice.id)))
            ):
                continue
            if debited_on < invoice.issued_on:
                raise UserError(_("À cette date, une facture choisie n’était pas encore émise."))
            if self.take(invoice, left, debited_on, payer=names[invoice.family_id]):
                count += 1
                cents += left
        if count:
            self._audit.write(
                "debits.settled",
                f"regie:{regie}",
                day=debited_on.isoformat(),
                count=count,
                amount=cents,
            )
        return Settled(count, cents, len(set(invoice_ids)) - count)

    def move(self, regie: str, invoice_ids: Sequence[int], *, to: date) -> int:
        """Set another day of debit for invoices that wait; give their number.

        Raises:
            UserError: the day has passed.
        """
        if to < today(self._clock.now()):
            raise UserError(_("Ce jour est passé : indiquez celui du prochain prélèvement."))
        moved = self._session.scalars(
            update(Invoice)
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.regie == regie,
                Invoice.id.in_(list(lock_invoices(self._session, self._tenant, invoice_ids))),
                is_under_debit(),
            )
            .values(debit_on=to)
            .returning(Invoice.id)
        ).all()
        if moved:
            self._audit.write(
                "debits.moved", f"regie:{regie}", day=to.isoformat(), count=len(moved)
            )
        return len(moved)

    def reject(self, payment_id: int, reason: RejectReason) -> None:
        """Note that the bank sent a debit back: the family is told why, and pays otherwise.

        Raises:
            UserError: it is no debit that was noted, or it came back already.
        """
        payment = self._payments.row(payment_id)
        if payment.means != Means.DIRECT_DEBIT:
            raise UserError(_("Ce paiement n’est pas un prélèvement de la régie."))
        mine = self._payments.invoice_ids(payment_id)
        locked = self.lock(mine, [payment_id])
        day = today(self._clock.now())
        # A debit pays one invoice.
        if not self.send_back(locked[mine[0]], reason.value, day, payment_id=payment_id):
            raise UserError(_("Ce paiement n’est pas, ou plus, encaissé."))

    def check(self, regie: str) -> None:
        """Refuse a régie whose money is not taken here.

        Raises:
            UserError: the trésorerie collects it.
        """
        if not self._town.collects(regie):
            raise UserError(
                _("La trésorerie encaisse cette régie : le règlement ne se saisit pas ici.")
            )

    def lock(self, invoice_ids: Sequence[int], payment_ids: Sequence[int]) -> dict[int, Invoice]:
        """Lock invoices, and with them, in one order, what these payments would give back."""
        paid = self._session.scalars(
            select(Allocation.invoice_id).where(
                Allocation.tenant_id == self._tenant, Allocation.payment_id.in_(payment_ids)
            )
        ).all()
        return lock_invoices(self._session, self._tenant, [*invoice_ids, *paid])

    def names(self, family_ids: set[int]) -> dict[int, str]:
        """The families' names, or their codes where they have none."""
        rows = self._session.execute(
            select(Family.id, Family.name, Family.code).where(
                Family.tenant_id == self._tenant, Family.id.in_(family_ids)
            )
        )
        return {row.id: row.name or row.code for row in rows}

    # --- One debit, whose invoice is locked --------------------------------------------------

    def take(self, invoice: Invoice, cents: int, day: date, *, payer: str) -> bool:
        """Note that the bank took `cents` on a day: once for each time that it is presented.

        What the invoice does not take is the family's credit; what it still owes after that is
        the family's to pay, as the debit is over. In a month that is closed, it is noted today.
        """
        now = self._clock.now()
        is_now = day == today(now) or self._is_closed(invoice.regie, day)
        payment = GivenPayment(
            family_id=invoice.family_id,
            means=Means.DIRECT_DEBIT,
            amount=cents,
            paid_at=now if is_now else datetime.combine(day, NOON, PARIS),
            payer=payer,
            shares=[(invoice.id, cents)],
            key=f"debit/{invoice.id}/{day}/{self._returned(invoice.id)}",
        )
        done = self._payments.settled(invoice.regie, payment, invoice)
        if done is not None:
            self._session.execute(
                update(Invoice)
                .where(
                    Invoice.tenant_id == self._tenant,
                    Invoice.id == invoice.id,
                    Invoice.left > 0,
                )
                .values(direct_debit=False)
            )
        return done is not None

    def send_back(
        self, invoice: Invoice, code: str, day: date, *, payment_id: int | None = None
    ) -> bool:
        """Note that the bank sent a debit back on a day; False where its payment is not in force.

        Without a payment nothing had been noted: no money moves, and the family is told all the
        same, unless it has paid otherwise.
        """
        code, now = reject_code(code), self._clock.now()
        left = balance_due(invoice.state, invoice.left)
        amount = left
        if payment_id is not None:
            amount = self._payments.row(payment_id).amount
            words = _("prélèvement rejeté, %(reason)s") % {"reason": reason_words(code)}
            if not self._ledger.reverse(payment_id, reason=words):
                return False
            self._audit.write("payment.rejected", f"payment:{payment_id}", reason=words)
        else:
            self._audit.write("invoice.debit_rejected", f"invoice:{invoice.id}", reason=code)
        rejection = DebitRejection(
            tenant_id=self._tenant,
            invoice_id=invoice.id,
            payment_id=payment_id,
            regie=invoice.regie,
            debit_day=invoice.debit_on or invoice.due_on,
            rejected_on=day,
            code=code,
            amount=amount,
            created_at=now,
            actor=self._audit.actor,
        )
        self._session.add(rejection)
        # The caller has locked it.
        self._session.execute(
            update(Invoice)
            .where(Invoice.tenant_id == self._tenant, Invoice.id == invoice.id)
            .values(direct_debit=False, debit_rejected_on=day)
        )
        self._session.flush()
        if payment_id is None and left:
            event_id = f"debit-rejected-{rejection.id}"
            self._events.tell(
                REJECTED,
                event_id,
                {
                    "id": event_id,
                    "family_id": invoice.family_id,
                    "invoice_ids": [invoice.id],
                    "amount": left,
                    "code": code,
                },
            )
        return True

    def _returned(self, invoice_id: int) -> int:
        """Number of an invoice's debits that came back: one debited anew is another payment."""
        return self._session.scalars(
            select(func.count())
            .select_from(PaymentItem)
            .join(Payment, items_with_payments())
            .where(
                PaymentItem.tenant_id == self._tenant,
                PaymentItem.invoice_id == invoice_id,
                Payment.means == Means.DIRECT_DEBIT,
                Payment.state == PaymentState.REVERSED,
            )
        ).one()
