"""Acts of agents on imported invoices: cancel them, hand them to the trésorerie."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import Text, case, cast, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from core.api.context import Clock
from core.api.errors import UserError
from core.api.invoices import InvoiceKind, Relation
from core.domain.direct_debits import may_be_handed_over
from core.invoices.credit_notes import is_to_link
from core.invoices.locks import balance_due, lock_invoices
from core.invoices.models import Invoice, InvoiceState
from core.invoices.money import Money
from core.platform.audit.models import AuditEntry
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.templating import day

HANDED_OVER, ADJUSTED, TAKEN_BACK = (
    "invoice.handed_over", "invoice.handover_adjusted", "invoice.taken_back",
)  # fmt: skip
"""Entries of the trail that say what the trésorerie collects of an invoice: their `amount`."""
MAX_ORIGINS = 50
"""Invoices that are offered to a credit note; a family has a dozen a year."""


class Billing:
    """The invoices of one town, in the hands of its agents."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, *, money: Money, audit: Audit
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._money = money
        self._audit = audit

    def get(self, invoice_id: int) -> Invoice:
        """One invoice, published or not.

        Raises:
            NotFoundError: there is none.
        """
        invoice = self._session.get(Invoice, (self._tenant, invoice_id))
        if invoice is None:
            raise NotFoundError
        return invoice

    def cancel(self, invoice_id: int, *, reason: str) -> None:
        """Take an invoice from its family's sight. Imported again, it comes back.

        Raises:
            UserError: something of it is paid or being paid, or it is not there to be cancelled.
        """
        invoice = self._lock(invoice_id, InvoiceState.DRAFT, InvoiceState.PUBLISHED)
        if self._session.scalar(select(self._money.is_paid(self._tenant, invoice_id))):
            raise UserError(
                _("Un règlement y est affecté : annulez-le d’abord, ou établissez un avoir.")
            )
        if self._counted(invoice_id):
            raise UserError(
                _("Sa facture a été réglée d’après cet avoir : établissez une autre facture.")
            )
        invoice.state = InvoiceState.CANCELLED
        self._audit.write("invoice.cancelled", f"invoice:{invoice_id}", reason=reason)

    def hand_over(self, invoice_id: int) -> None:
        """Pass what is left of an invoice to the trésorerie: shown, no longer payable here.

        Raises:
            UserError: it is not published, or a payment for it may still settle, or its direct
                debit may.
        """
        invoice = self._lock(invoice_id, InvoiceState.PUBLISHED)
        if not balance_due(invoice.state, invoice.left):
            raise UserError(_("Cette facture est réglée : il n’y a rien à transmettre."))
        debited_on = invoice.debit_on or invoice.due_on
        if invoice.direct_debit and not may_be_handed_over(debited_on, today(self._clock.now())):
            raise UserError(
                _(
                    "Le prélèvement du %(day)s peut encore aboutir : constatez-le ou son rejet "
                    "d’abord, ou retirez la facture du prélèvement."
                )
                % {"day": day(debited_on)}
            )
        invoice.state = InvoiceState.HANDED_OVER
        self._audit.write(HANDED_OVER, f"invoice:{invoice_id}", amount=invoice.left)

    def set_debit(self, invoice_id: int, *, debit: bool, on: date | None = None) -> None:
        """Say whether a recurring direct debit takes what is left, or the family pays it.

        Args:
            invoice_id: the invoice.
            debit: a debit takes it.
            on: the day of the debit; None: the one that it had, at first its due date.

        Raises:
            UserError: it is not published, a payment for it may still settle, nothing is left, or
                the day has passed.
        """
        invoice = self._lock(invoice_id, InvoiceState.PUBLISHED)
        on = on or invoice.debit_on or invoice.due_on
        if debit and not invoice.direct_debit and on < today(self._clock.now()):
            raise UserError(_("Ce jour est passé : indiquez celui du prochain prélèvement."))
        if invoice.kind != InvoiceKind.INVOICE or not balance_due(invoice.state, invoice.left):
            raise UserError(_("Cette facture est réglée : il n’y a rien à prélever."))
        before = invoice.direct_debit, invoice.debit_on
        invoice.direct_debit = debit
        if debit:
            invoice.debit_rejected_on = None
        if debit and on != (invoice.debit_on or invoice.due_on):
            invoice.debit_on = on
        if before != (invoice.direct_debit, invoice.debit_on):
            self._audit.write(
                "invoice.debit_renewed" if debit else "invoice.debit_withdrawn",
                f"invoice:{invoice_id}",
            )

    def take_back(self, invoice_id: int) -> None:
        """Undo `hand_over`.

        Raises:
            UserError: it was not handed over.
        """
        invoice = self._lock(invoice_id, InvoiceState.HANDED_OVER)
        told = self._told(invoice)
        invoice.state = InvoiceState.PUBLISHED
        self._audit.write(TAKEN_BACK, f"invoice:{invoice_id}", amount=told)

    def tell_rest(self, invoice_id: int) -> None:
        """Note by how much more, or less, is left of an invoice at the trésorerie than was noted.

        The caller has locked it.
        """
        invoice = self.get(invoice_id)
        difference = max(invoice.left, 0) - self._told(invoice)
        if difference:
            self._audit.write(ADJUSTED, f"invoice:{invoice_id}", amount=difference)

    def _told(self, invoice: Invoice) -> int:
        """Cents with which an invoice stands among those that went over, since it last did."""
        self._session.flush()
        ours = AuditEntry.tenant_id == self._tenant, AuditEntry.subject == f"invoice:{invoice.id}"
        back = (
            select(func.coalesce(func.max(AuditEntry.id), 0))
            .where(*ours, AuditEntry.action == TAKEN_BACK)
            .scalar_subquery()
        )
        entries = self._session.scalars(
            select(AuditEntry).where(
                *ours, AuditEntry.action.in_((HANDED_OVER, ADJUSTED)), AuditEntry.id > back
            )
        )
        return sum(int(entry.details.get("amount", invoice.left)) for entry in entries)

    def origins(self, invoice_id: int) -> Sequence[Invoice]:
        """The invoices that a credit note may correct, or that an invoice may replace.

        Those of its family and régie, the latest first; the ones that it names before all others.
        """
        note = self.get(invoice_id)
        named = case(
            (Invoice.piece_keys.op("&&")(cast(note.refers_to, ARRAY(Text))), 0), else_=1
        )
        return self._session.scalars(
            select(Invoice)
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.family_id == note.family_id,
                Invoice.regie == note.regie,
                Invoice.kind == InvoiceKind.INVOICE,
                Invoice.state != InvoiceState.CANCELLED,
                Invoice.id != note.id,
            )
            .order_by(named, Invoice.id.desc())
            .limit(MAX_ORIGINS)
        ).all()

    def waits(self, invoice_id: int) -> bool:
        """True if a person must look at the invoice: see `is_to_link`."""
        return bool(
            self._session.scalar(
                select(
                    exists(select(Invoice.id)).where(
                        Invoice.tenant_id == self._tenant, Invoice.id == invoice_id, is_to_link()
                    )
                )
            )
        )

    def link(self, note_id: int, origin_id: int) -> None:
        """Say which invoice a credit note corrects: it takes its amount off that one.

        Raises:
            UserError: it corrects one already, or takes off more than is left to take.
        """
        locked = lock_invoices(self._session, self._tenant, [note_id, origin_id])
        note, origin = locked.get(note_id), locked.get(origin_id)
        if note is None or origin is None:
            raise NotFoundError
        if not self.waits(note_id) or note.kind != InvoiceKind.CREDIT_NOTE:
            raise UserError(_("L’état de cette facture a changé entre-temps."))
        if origin not in self.origins(note_id):
            raise NotFoundError
        if -note.amount > origin.amount - origin.credited:
            raise UserError(_("Cet avoir dépasse ce qui reste de cette facture."))
        note.origin_number = origin.number
        self._audit.write("invoice.linked", f"invoice:{note_id}", origin=origin.number)

    def set_aside(self, note_id: int, *, reason: str) -> None:
        """Say that a credit note corrects no invoice that is here, and that nothing waits for it.

        Raises:
            UserError: it corrects one.
        """
        note = lock_invoices(self._session, self._tenant, [note_id]).get(note_id)
        if note is None:
            raise NotFoundError
        if not self.waits(note_id):
            raise UserError(_("L’état de cette facture a changé entre-temps."))
        note.relation = "none" if note.kind == InvoiceKind.CREDIT_NOTE else Relation.NONE
        self._audit.write("invoice.set_aside", f"invoice:{note_id}", reason=reason)

    def hold(self, invoice_ids: Collection[int]) -> dict[int, Invoice]:
        """Lock invoices, and what they correct if they are credit notes, in the order of ids."""
        note = aliased(Invoice)
        origins = self._session.scalars(
            select(Invoice.id).where(
                Invoice.tenant_id == self._tenant,
                exists().where(
                    note.tenant_id == Invoice.tenant_id,
                    note.id.in_(list(invoice_ids)),
                    note.regie == Invoice.regie,
                    note.origin_number == Invoice.number,
                ),
            )
        ).all()
        return lock_invoices(self._session, self._tenant, [*invoice_ids, *origins])

    def _lock(self, invoice_id: int, *states: InvoiceState) -> Invoice:
        invoice = self.hold([invoice_id]).get(invoice_id)
        if invoice is None:
            raise NotFoundError
        if invoice.state not in states:
            raise UserError(_("L’état de cette facture a changé entre-temps."))
        if self._session.scalar(select(self._money.is_held(self._tenant, invoice_id))):
            raise UserError(_("Un paiement est déjà en cours pour cette facture."))
        return invoice

    def _counted(self, invoice_id: int) -> bool:
        """True for a credit note that the books go by (see migration 0014)."""
        return bool(
            self._session.scalar(
                select(func.credit_note_counted(literal_column("invoice"))).where(
                    Invoice.tenant_id == self._tenant, Invoice.id == invoice_id
                )
            )
        )
