"""Handing invoices over to the trésorerie: a list is made, leaves, or is taken back before.

What the trésorerie was told of an invoice is the sum of its lines in force. What is left of it may
change after that (a cheque bounces, a credit note comes): the difference waits for the next list,
as a complement or as a reduction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    and_,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.families.models import Family
from core.invoices.handling import Billing
from core.invoices.handover_models import Handover, HandoverLine
from core.invoices.models import Invoice, InvoiceState
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.db.paging import Page, newest
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.templating import money

MAX_REASON_CHARS = 200


class Handovers:
    """The lists of one town's régies."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, *, billing: Billing, audit: Audit
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._billing = billing
        self._audit = audit

    def unlisted(self, regie: str) -> Sequence[Any]:
        """Invoices that went over, and the cents of each that no list in force tells: `left`.

        `told` are the cents that lists tell. `left` is negative where they tell too much.
        """
        told = _told()
        return self._session.execute(
            select(Invoice, Family, _untold(told).label("left"), told.label("told"))
            .join(Family, _of_invoice())
            .where(Invoice.regie == regie, *self._waiting(told))
            .order_by(Family.code, Invoice.due_on, Invoice.id)
        ).all()

    def waiting(self) -> dict[str, int]:
        """Number of invoices that wait for a list, by régie."""
        rows = self._session.execute(
            select(Invoice.regie, func.count())
            .where(*self._waiting(_told()))
            .group_by(Invoice.regie)
            .order_by(Invoice.regie)
        )
        return {row.regie: int(row[1]) for row in rows}

    def make(
        self, regie: str, invoice_ids: Collection[int], *, expected: int | None = None
    ) -> Handover:
        """Hand these invoices over on one list; of those that went over, what no list tells yet.

        Raises:
            UserError: an invoice is paid, being paid, all on lists, or of another régie; or the sum
                (cents) is not the one that the agent confirmed.
        """
        wanted = sorted(set(invoice_ids))
        if not wanted:
            raise UserError(_("Cochez les factures à transmettre."))
        # Those that went over already, too: nobody takes one back while it is put on the list.
        self._billing.hold(wanted)
        for invoice_id in wanted:
            if self._billing.get(invoice_id).state != InvoiceState.HANDED_OVER:
                self._billing.hand_over(invoice_id)
        self._session.flush()
        # One list after the other: its number has no gap, and no invoice is on two.
        name = func.hashtextextended(f"{self._tenant}/{regie}", 3)
        self._session.execute(select(func.pg_advisory_xact_lock(name)))
        told = _told()
        rows = self._session.execute(
            select(Invoice.id, _untold(told).label("left"))
            .join(Family, _of_invoice())
            .where(
                Invoice.regie == regie,
                Invoice.id.in_(wanted),
                *self._waiting(told),
            )
            .order_by(Family.code, Invoice.due_on, Invoice.id)
        ).all()
        total = sum(row.left for row in rows)
        if len(rows) != len(wanted) or expected not in {None, total}:
            raise UserError(
                _("Ces factures ont changé entre-temps : leur total est de %(total)s. Vérifiez.")
                % {"total": money(total)}
            )
        made = self._add(regie, total, [(row.id, row.left) for row in rows])
        for row in rows:
            self._billing.tell_rest(row.id)
        self._write("handover.made", made, amount=total)
        return made

    def _add(self, regie: str, total: int, lines: Sequence[tuple[int, int]]) -> Handover:
        """Write the régie's next list, with its lines: (invoice, cents)."""
        now = self._clock.now()
        year = today(now).year
        last = self._session.scalar(
            select(func.max(Handover.number)).where(
                Handover.tenant_id == self._tenant,
                Handover.regie == regie,
                Handover.year == year,
            )
        )
        made = Handover(
            tenant_id=self._tenant,
            regie=regie,
            year=year,
            number=(last or 0) + 1,
            made_at=now,
            count=len(lines),
            total=total,
            actor=self._audit.actor,
        )
        self._session.add(made)
        self._session.flush()
        self._session.add_all(
            HandoverLine(
                tenant_id=self._tenant,
                handover_id=made.id,
                rank=rank,
                invoice_id=invoice_id,
                amount=cents,
            )
            for rank, (invoice_id, cents) in enumerate(lines, start=1)
        )
        self._session.flush()
        return made

    def leave(self, handover_id: int) -> None:
        """Note that a list went to the trésorerie: it is taken back no more.

        Raises:
            UserError: it left already, or was taken back.
        """
        self._change(handover_id, left_at=self._clock.now(), left_by=self._audit.actor)
        self._write("handover.left", self.get(handover_id))

    def cancel(self, handover_id: int, *, reason: str) -> None:
        """Take a whole list back before it leaves: its invoices are payable here again.

        Those that another list tells of, too, stay at the trésorerie.

        Raises:
            UserError: it left, or was taken back already.
        """
        now = self._clock.now()
        open_lines = (
            select(HandoverLine)
            .where(
                HandoverLine.tenant_id == self._tenant,
                HandoverLine.handover_id == handover_id,
                HandoverLine.taken_back_at.is_(None),
            )
            .order_by(HandoverLine.invoice_id)
        )
        # Invoices before lists, as everybody locks them.
        self._billing.hold([line.invoice_id for line in self._session.scalars(open_lines)])
        self._change(
            handover_id,
            cancelled_at=now,
            cancelled_by=self._audit.actor,
            cancel_reason=reason[:MAX_REASON_CHARS],
        )
        lines = self._session.scalars(
            open_lines.execution_options(populate_existing=True)
        ).all()
        for line in lines:
            line.taken_back_at = now
        self._session.flush()
        elsewhere = self._told_elsewhere([line.invoice_id for line in lines])
        for line in lines:
            invoice = self._billing.get(line.invoice_id)
            if invoice.state == InvoiceState.HANDED_OVER and invoice.id not in elsewhere:
                self._billing.take_back(line.invoice_id)
        self._session.flush()
        self._write("handover.cancelled", self.get(handover_id), reason=reason)

    def take_back(self, invoice_id: int, *, recalled: bool) -> None:
        """Take one invoice back; from lists that left only if the trésorerie gave it back.

        Raises:
            UserError: it was not handed over, or a list of it left and it was not `recalled`.
        """
        self._billing.hold([invoice_id])
        rows = self._session.execute(
            select(HandoverLine, Handover)
            .join(Handover, _of_line())
            .where(
                HandoverLine.tenant_id == self._tenant,
                HandoverLine.invoice_id == invoice_id,
                HandoverLine.taken_back_at.is_(None),
            )
            .order_by(Handover.id)
            .with_for_update(of=Handover)  # None of them leaves meanwhile.
        ).all()
        left = [row.Handover.name for row in rows if row.Handover.left_at]
        if left and not recalled:
            raise UserError(
                _(
                    "La liste %(name)s est partie : seul le régisseur reprend une de ses "
                    "factures, quand la trésorerie la rend."
                )
                % {"name": ", ".join(left)}
            )
        self._billing.take_back(invoice_id)
        for row in rows:
            row.HandoverLine.taken_back_at = self._clock.now()

    def get(self, handover_id: int) -> Handover:
        """One list. Raises `NotFoundError` when there is none."""
        found = self._session.scalar(
            select(Handover)
            .where(Handover.tenant_id == self._tenant, Handover.id == handover_id)
            .execution_options(populate_existing=True)
        )
        if found is None:
            raise NotFoundError
        return found

    def page(self, regie: str, *, before: int | None = None) -> Page:
        """The lists of a régie, the last one first."""
        query = select(Handover).where(Handover.tenant_id == self._tenant, Handover.regie == regie)
        return newest(self._session, query, Handover.id, before)

    def lines(self, handover_id: int) -> Sequence[Any]:
        """The lines of a list with their invoices and families, in order."""
        return self._session.execute(
            select(HandoverLine, Invoice, Family)
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == HandoverLine.tenant_id,
                    Invoice.id == HandoverLine.invoice_id,
                ),
            )
            .join(Family, _of_invoice())
            .where(
                HandoverLine.tenant_id == self._tenant, HandoverLine.handover_id == handover_id
            )
            .order_by(HandoverLine.rank)
        ).all()

    def of_invoice(self, invoice_id: int) -> Sequence[Any]:
        """The lines of one invoice with their lists, in order of time, taken back or not."""
        return self._session.execute(
            select(HandoverLine, Handover)
            .join(Handover, _of_line())
            .where(
                HandoverLine.tenant_id == self._tenant, HandoverLine.invoice_id == invoice_id
            )
            .order_by(HandoverLine.id)
        ).all()

    def _waiting(self, told: ScalarSelect[int]) -> tuple[ColumnElement[bool], ...]:
        """SQL: invoices that went over, of which lists in force do not tell what is left."""
        return (
            Invoice.tenant_id == self._tenant,
            Invoice.state == InvoiceState.HANDED_OVER,
            _untold(told) != 0,
        )

    def _told_elsewhere(self, invoice_ids: Collection[int]) -> set[int]:
        """Those of these invoices that a list in force tells of."""
        return set(
            self._session.scalars(
                select(HandoverLine.invoice_id).where(
                    HandoverLine.tenant_id == self._tenant,
                    HandoverLine.invoice_id.in_(list(invoice_ids)),
                    HandoverLine.taken_back_at.is_(None),
                )
            )
        )

    def _change(self, handover_id: int, **values: Any) -> None:
        changed = self._session.scalar(
            update(Handover)
            .where(
                Handover.tenant_id == self._tenant,
                Handover.id == handover_id,
                Handover.left_at.is_(None),
                Handover.cancelled_at.is_(None),
            )
            .values(**values)
            .returning(Handover.id)
            .execution_options(synchronize_session=False)
        )
        if changed is None:
            found = self.get(handover_id)
            raise UserError(
                _("Cette liste est déjà partie.")
                if found.left_at
                else _("Cette liste est déjà reprise.")
            )

    def _write(self, action: str, made: Handover, **details: Any) -> None:
        self._audit.write(
            action, f"handover:{made.id}", regie=made.regie, number=made.name, **details
        )


def _of_invoice() -> ColumnElement[bool]:
    return and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id)


def _of_line() -> ColumnElement[bool]:
    return and_(
        Handover.tenant_id == HandoverLine.tenant_id, Handover.id == HandoverLine.handover_id
    )


def _told() -> ScalarSelect[int]:
    """SQL: the cents of `Invoice` that lists in force tell the trésorerie."""
    return (
        select(cast(func.coalesce(func.sum(HandoverLine.amount), 0), BigInteger))
        .where(
            HandoverLine.tenant_id == Invoice.tenant_id,
            HandoverLine.invoice_id == Invoice.id,
            HandoverLine.taken_back_at.is_(None),
        )
        .correlate(Invoice)
        .scalar_subquery()
    )


def _untold(told: ScalarSelect[int]) -> ColumnElement[int]:
    """SQL: the cents that the next list adds to those, or takes off."""
    return func.greatest(Invoice.left, 0) - told
