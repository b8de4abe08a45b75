"""Purpose of the journal's money: each cent under the activity that it pays.

A payment of a part is shared over the lines of its invoice, in proportion; it goes out by the same
shares as it came in, so that what came back leaves nothing behind. Money too much stands under
*recettes à classer* until it is used, which moves it without moving the total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session

from core.books.models import RemittanceEntry
from core.books.period import Period
from core.domain.money import split_pro_rata
from core.domain.tax import TaxInvoice, line_weights
from core.invoices.activities import by_activity, with_activities
from core.invoices.credit_notes import Note, notes_on
from core.journal.models import EntryKind, JournalEntry
from core.journal.sums import CAME, CAME_KINDS
from core.payments.models import Allocation, Credit, CreditUse, Payment
from core.platform.clock import today
from core.platform.i18n import gettext as _


@dataclass(frozen=True, slots=True)
class Part:
    """Signed cents of a payment under one activity, and the invoice they paid ("": none)."""

    at: datetime
    payment_id: int
    receipt: str
    payer: str
    invoice: str
    activity: str
    amount: int
    exercice: int
    """Year of the budget that the invoice was issued for; that of the money without an invoice."""


@dataclass(frozen=True, slots=True)
class _Move:
    """Signed cents of a payment that went to an invoice, or to no one's (None)."""

    at: datetime
    payment_id: int
    invoice_id: int | None
    amount: int
    allocated_at: datetime | None = None
    """Time when the invoice took the cents: the credit notes of then decide how they are shared."""
    freed_since: datetime | None = None
    """The invoice gave it back: by what credit notes took off from this moment on, it is shared."""


class Activities:
    """The activities of one town's money."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def parts(self, period: Period) -> list[Part]:
        """Every part of a period, in the order of time. They add up to the journal's total."""
        within = (
            JournalEntry.tenant_id == self._tenant,
            JournalEntry.regie == period.regie,
            JournalEntry.at >= period.since,
            JournalEntry.at < period.until,
        )
        return self._parts(
            (*self._entered(within), *self._freed(period), *self._used(period))
        )

    def parts_of(self, remittance_id: int) -> list[Part]:
        """Every part of the money that a remittance took. They add up to its total."""
        taken = exists().where(
            RemittanceEntry.tenant_id == JournalEntry.tenant_id,
            RemittanceEntry.entry_id == JournalEntry.id,
            RemittanceEntry.remittance_id == remittance_id,
        )
        return self._parts(self._entered((JournalEntry.tenant_id == self._tenant, taken)))

    def _parts(self, found_moves: Iterable[_Move]) -> list[Part]:
        moves = sorted(found_moves, key=lambda move: (move.at, move.payment_id))
        invoices = with_activities(
            self._session,
            self._tenant,
            {m.invoice_id for m in moves if m.invoice_id is not None},
        )
        notes = notes_on(self._session, self._tenant, invoices)
        payments = self._payments({move.payment_id for move in moves})
        found = []
        for move in moves:
            receipt, payer = payments[move.payment_id]
            if move.invoice_id is None:
                number, exercice = "", today(move.at).year
                shares = [(unsorted(), move.amount)]
            else:
                number, exercice, invoice = invoices[move.invoice_id]
                asks = _asked_of(move, invoice, notes.get(move.invoice_id, ()))
                shares = _shared(asks, move.amount)
            found += [
                Part(move.at, move.payment_id, receipt, payer, number, activity, cents, exercice)
                for activity, cents in shares
                if cents
            ]
        return found

    def _entered(self, within: tuple[Any, ...]) -> Iterator[_Move]:
        """Moves of these entries of the journal."""
        allocated = self._session.execute(
            select(
                JournalEntry.at,
                JournalEntry.amount.label("moved"),
                Allocation.payment_id,
                Allocation.invoice_id,
                Allocation.amount,
                Allocation.created_at,
            )
            .join(
                Allocation,
                and_(
                    Allocation.tenant_id == JournalEntry.tenant_id,
                    Allocation.payment_id == JournalEntry.payment_id,
                ),
            )
            .join(Payment, _of_entry())
            .where(
                *within,
                # In came what the payment settled; out goes all that it pays by then.
                CAME & Allocation.credit_use_id.is_(None)
                | (JournalEntry.kind == EntryKind.REVERSED)
                & (Allocation.reversed_at == Payment.reversed_at),
            )
        )
        for row in allocated:
            sign = 1 if row.moved > 0 else -1
            yield _Move(
                row.at, row.payment_id, row.invoice_id, sign * row.amount, row.created_at
            )
        yield from self._unsorted(within)

    def _unsorted(self, within: tuple[Any, ...]) -> Iterator[_Move]:
        """The money too much of the entries: what came, what was left when it went, refunds."""
        refunds = self._session.execute(
            select(JournalEntry.at, JournalEntry.payment_id, JournalEntry.amount).where(
                *within, JournalEntry.credit_use_id.is_not(None)
            )
        )
        for refund in refunds:
            yield _Move(refund.at, refund.payment_id, None, refund.amount)
        rows = self._session.execute(
            select(
                JournalEntry.at,
                JournalEntry.kind,
                JournalEntry.amount.label("moved"),
                Credit,
            )
            .join(
                Credit,
                and_(
                    Credit.tenant_id == JournalEntry.tenant_id,
                    Credit.payment_id == JournalEntry.payment_id,
                ),
            )
            .where(
                *within,
                # What an invoice gave back later was not too much when it came.
                CAME & Credit.invoice_id.is_(None)
                | (JournalEntry.kind == EntryKind.REVERSED),
            )
        ).all()
        used = self._still_used({row.Credit.id for row in rows if row.Credit.reversed_at})
        since = self._freed_since(row.Credit for row in rows)
        for at, kind, moved, credit in rows:
            if kind in CAME_KINDS:
                sign = 1 if moved > 0 else -1
                yield _Move(at, credit.payment_id, None, sign * credit.amount)
                continue
            yield _Move(at, credit.payment_id, None, used[credit.id] - credit.amount)
            if credit.invoice_id is not None:  # It goes out with all that the invoice had taken.
                yield _from_invoice(at, credit, credit.amount, since)

    def _still_used(self, credit_ids: set[int]) -> dict[int, int]:
        """Cents of invoices that each credit was paying when it went with its payment."""
        used: dict[int, int] = defaultdict(int)
        for credit_id, cents in self._session.execute(
            select(CreditUse.credit_id, CreditUse.amount)
            .join(Credit, _of_use())
            .where(
                CreditUse.tenant_id == self._tenant,
                CreditUse.invoice_id.is_not(None),
                CreditUse.reversed_at == Credit.reversed_at,
                CreditUse.credit_id.in_(credit_ids),
            )
        ):
            used[credit_id] += cents
        return used

    def _freed(self, period: Period) -> Iterator[_Move]:
        """Moves of cents that invoices gave back after a credit note: no money came or went."""
        released = self._session.scalars(
            select(Credit).where(
                Credit.tenant_id == self._tenant,
                Credit.regie == period.regie,
                Credit.invoice_id.is_not(None),
                Credit.created_at >= period.since,
                Credit.created_at < period.until,
            )
        ).all()
        since = self._freed_since(released)
        for credit in released:
            yield _from_invoice(credit.created_at, credit, -credit.amount, since)
            yield _Move(credit.created_at, credit.payment_id, None, credit.amount)

    def _freed_since(self, credits_: Iterable[Credit]) -> dict[int, datetime]:
        """Since when credit notes took off what each freed credit gave back.

        That is since its payment went to the invoice, or the invoice gave something back last.
        """
        released = [(credit, credit.invoice_id) for credit in credits_ if credit.invoice_id]
        if not released:
            return {}
        invoice_ids = {invoice_id for _credit, invoice_id in released}
        paid = {
            (row.payment_id, row.invoice_id): row.at
            for row in self._session.execute(
                select(
                    Allocation.payment_id,
                    Allocation.invoice_id,
                    func.min(Allocation.created_at).label("at"),
                )
                .where(
                    Allocation.tenant_id == self._tenant, Allocation.invoice_id.in_(invoice_ids)
                )
                .group_by(Allocation.payment_id, Allocation.invoice_id)
            )
        }
        gave: dict[int | None, list[datetime]] = defaultdict(list)
        for invoice_id, at in self._session.execute(
            select(Credit.invoice_id, Credit.created_at).where(
                Credit.tenant_id == self._tenant, Credit.invoice_id.in_(invoice_ids)
            )
        ):
            gave[invoice_id].append(at)
        return {
            credit.id: max(
                [
                    paid[credit.payment_id, invoice_id],
                    *(at for at in gave[invoice_id] if at < credit.created_at),
                ]
            )
            for credit, invoice_id in released
        }

    def _used(self, period: Period) -> Iterator[_Move]:
        """Credits that paid invoices, and such uses that were undone: no money moved."""
        rows = self._session.execute(
            select(CreditUse, Credit.payment_id, Credit.reversed_at.label("credit_reversed_at"))
            .join(Credit, _of_use())
            .where(
                CreditUse.tenant_id == self._tenant,
                Credit.regie == period.regie,
                CreditUse.invoice_id.is_not(None),
                (CreditUse.created_at >= period.since) & (CreditUse.created_at < period.until)
                | (CreditUse.reversed_at >= period.since)
                & (CreditUse.reversed_at < period.until),
            )
        )
        for use, payment_id, with_payment in rows:
            undone = use.reversed_at if use.reversed_at != with_payment else None
            for at, sign in ((use.created_at, 1), (undone, -1)):
                if at is not None and period.since <= at < period.until:
                    yield _Move(
                        at, payment_id, use.invoice_id, sign * use.amount, use.created_at
                    )
                    yield _Move(at, payment_id, None, -sign * use.amount)

    def _payments(self, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
        return {
            row.id: (row.receipt_number, row.payer)
            for row in self._session.execute(
                select(Payment.id, Payment.receipt_number, Payment.payer).where(
                    Payment.tenant_id == self._tenant, Payment.id.in_(list(ids))
                )
            )
        }


def unsorted() -> str:
    """Name of money that no invoice took."""
    return _("Recettes à classer")


def _of_entry() -> Any:
    return and_(
        Payment.tenant_id == JournalEntry.tenant_id, Payment.id == JournalEntry.payment_id
    )


def _of_use() -> Any:
    return and_(Credit.tenant_id == CreditUse.tenant_id, Credit.id == CreditUse.credit_id)


def _from_invoice(
    at: datetime, credit: Credit, signed: int, since: Mapping[int, datetime]
) -> _Move:
    return _Move(
        at, credit.payment_id, credit.invoice_id, signed, credit.created_at, since[credit.id]
    )


def _asked_of(
    move: _Move, invoice: TaxInvoice, notes: Iterable[Note]
) -> list[tuple[str, int]]:
    """Activities and cents that a move pays of its invoice, by the credit notes of then."""

    def asks(then: datetime | None) -> list[tuple[str, int]]:
        taken = [note.what for note in notes if then and note.since <= then]
        return _asks(by_activity(invoice.less(taken)) if taken else invoice)

    if move.freed_since is None:
        return asks(move.allocated_at)
    before = asks(move.freed_since)
    taken = _taken_off(len(invoice.lines), before, asks(move.allocated_at))
    return taken if any(cents for _name, cents in taken) else before


def _asks(invoice: TaxInvoice) -> list[tuple[str, int]]:
    """Cents that each line asks for, and those that the invoice asks beyond its lines."""
    weights = line_weights(invoice)
    names = [line.activity for line in invoice.lines]
    rest = max(invoice.amount - sum(weights), 0)
    return [*zip(names, weights, strict=True), (_("Sans détail"), rest)]


def _taken_off(
    lines: int, before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Cents that credit notes took off each line of the invoice, and off the rest beyond them."""
    # Between those stand the notes' own lines, which ask for nothing.
    pairs = zip([*before[:lines], before[-1]], [*after[:lines], after[-1]], strict=True)
    return [(name, max(asked - left, 0)) for (name, asked), (_name, left) in pairs]


def _shared(asks: list[tuple[str, int]], signed: int) -> list[tuple[str, int]]:
    weights = [weight for _name, weight in asks]
    if not any(weights):  # Paid, though nothing was asked for.
        return [(_("Sans détail"), signed)]
    parts = split_pro_rata(abs(signed), weights)
    sign = 1 if signed >= 0 else -1
    return [(name, sign * part) for (name, _weight), part in zip(asks, parts, strict=True)]
