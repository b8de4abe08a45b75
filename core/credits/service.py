"""Money paid too much: kept for its family, used for its invoices, or given back.

A credit is never more than a part of its payment: what no invoice took of it, or what one that a
credit note corrected later gave back. A use for an invoice is an allocation of that payment, dated
today; only a refund moves money, and only a refund is an entry of the journal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Date, and_, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.payments import Means, kind_of
from core.credits.lists import credit_rows
from core.invoices.locks import balance_due, hold_invoices, lock_invoices
from core.invoices.models import Invoice
from core.invoices.service import overpaid
from core.journal.models import EntryKind
from core.journal.service import Journal
from core.payments.models import (
    Allocation,
    Credit,
    CreditUse,
    Payment,
    credit_left,
    is_held,
    released,
)
from core.payments.titles import Titles
from core.platform.audit.service import Audit
from core.platform.clock import PARIS
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.templating import money
from core.platform.tenancy.means import TITLES

REFUND_MEANS = (Means.TRANSFER, Means.CASH, Means.CHEQUE)


class Credits:
    """The credits of one town's families."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        journal: Journal,
        titles: Titles,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._journal = journal
        self._titles = titles
        self._audit = audit

    def waiting(
        self,
        *,
        regie: str = "",
        family_id: int | None = None,
        limit: int | None = 50,
    ) -> Sequence[Any]:
        """Credits with something left (`left`, cents), family and payment; the newest first.

        The family is None where it is not known yet whose the payment is.
        """
        query = credit_rows(self._tenant)
        if regie:
            query = query.where(Credit.regie == regie)
        if family_id is not None:
            query = query.where(Credit.family_id == family_id)
        return self._session.execute(query.order_by(Credit.id.desc()).limit(limit)).all()

    def left_of(self, family_id: int) -> Mapping[str, int]:
        """The cents that each régie holds for a family, where it holds any."""
        found: dict[str, int] = defaultdict(int)
        for row in self.waiting(family_id=family_id, limit=None):
            found[row.Credit.regie] += max(row.left, 0)
        return {regie: cents for regie, cents in sorted(found.items()) if cents}

    def get(self, credit_id: int) -> tuple[Credit, int]:
        """A credit and the cents that are left of it.

        Raises:
            NotFoundError: there is none.
        """
        found = self._session.execute(
            select(Credit, credit_left().label("left"))
            .where(Credit.tenant_id == self._tenant, Credit.id == credit_id)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if found is None:
            raise NotFoundError
        return found.Credit, int(found.left)

    def of_payment(self, payment_id: int) -> Sequence[Credit]:
        """Credits of a payment: paid too much at once, or after a credit note, in that order."""
        return self._session.scalars(
            select(Credit)
            .where(Credit.tenant_id == self._tenant, Credit.payment_id == payment_id)
            .order_by(Credit.invoice_id.is_not(None), Credit.id)
        ).all()

    def from_invoice(self, invoice_id: int) -> Sequence[Credit]:
        """Credits that an invoice gave back after a credit note, if their payment is in force."""
        return self._session.scalars(
            select(Credit)
            .where(
                Credit.tenant_id == self._tenant,
                Credit.invoice_id == invoice_id,
                Credit.reversed_at.is_(None),
            )
            .order_by(Credit.id)
        ).all()

    def free(self, invoice_id: int) -> int:
        """Make credits of what an invoice was paid before its credit note came; their cents.

        It gives back what was paid last, as the tax certificate counts what was paid first.

        Raises:
            UserError: nothing is to be given back.
        """
        invoice = lock_invoices(self._session, self._tenant, [invoice_id]).get(invoice_id)
        if invoice is None:
            raise NotFoundError
        wanted = left = overpaid(invoice)
        if not wanted:
            raise UserError(_("Rien n’est à rendre sur cette facture."))
        for payment in self._given(invoice_id):
            cents = min(payment.given, left)
            if not cents:
                continue
            self._session.add(
                Credit(
                    tenant_id=self._tenant,
                    payment_id=payment.id,
                    invoice_id=invoice_id,
                    family_id=payment.family_id,  # who paid it, if that is a second home
                    regie=invoice.regie,
                    amount=cents,
                    created_at=self._clock.now(),
                )
            )
            left -= cents
        self._session.flush()
        self._audit.write("credit.freed", f"invoice:{invoice_id}", amount=wanted - left)
        return wanted - left

    def uses(self, credit_id: int) -> Sequence[Any]:
        """Uses of a credit, each with its invoice (None: it was refunded), in order."""
        return self._session.execute(
            select(CreditUse, Invoice)
            .outerjoin(
                Invoice,
                and_(
                    Invoice.tenant_id == CreditUse.tenant_id, Invoice.id == CreditUse.invoice_id
                ),
            )
            .where(CreditUse.tenant_id == self._tenant, CreditUse.credit_id == credit_id)
            .order_by(CreditUse.id)
        ).all()

    def pay(self, credit_id: int, invoice_id: int, amount: int, *, key: str) -> None:
        """Let `amount` cents of a credit pay an invoice of the same family and régie.

        Raises:
            UserError: more than is left or due, another family's, or a payment is under way.
        """
        invoice = lock_invoices(self._session, self._tenant, [invoice_id]).get(invoice_id)
        credit, left = self._lock(credit_id)
        if self._known(key):
            return
        if invoice is None or invoice.family_id != credit.family_id:
            raise NotFoundError
        if invoice.regie != credit.regie:
            raise UserError(_("L’avoir d’une régie ne paie pas les factures d’une autre."))
        if self._under_way(invoice_id):
            raise UserError(_("Un paiement est déjà en cours pour cette facture."))
        due = balance_due(invoice.state, invoice.left)
        if not 0 < amount <= min(left, due):
            raise UserError(_("Ce montant dépasse ce qui reste de l’avoir ou de la facture."))
        means = self._means_of(credit)
        payable = self._titles.payable(credit.regie, means, [invoice_id])
        if payable is not None and amount > payable.get(invoice_id, 0):
            raise UserError(
                _("%(label)s : de cette facture, %(cents)s peuvent être payés ainsi.")
                % {"label": means_label(means), "cents": money(payable.get(invoice_id, 0))}
            )
        use_id = self._use(credit, amount, key=key, invoice_id=invoice_id)
        self._session.add(
            Allocation(
                tenant_id=self._tenant,
                payment_id=credit.payment_id,
                invoice_id=invoice_id,
                credit_use_id=use_id,
                amount=amount,
                created_at=self._clock.now(),
            )
        )
        self._session.flush()
        self._audit.write(
            "credit.used", f"payment:{credit.payment_id}", invoice=invoice.number, amount=amount
        )

    def refund(self, credit_id: int, amount: int, *, means: Means, note: str, key: str) -> None:
        """Note that `amount` cents of a credit went back to the family.

        Raises:
            UserError: that is more than is left, or the money was a title, of which none is given
                back.
        """
        credit, left = self._lock(credit_id)
        if self._known(key):
            return
        if not 0 < amount <= left:
            raise UserError(_("Ce montant dépasse ce qui reste de l’avoir."))
        if kind_of(self._means_of(credit)) in TITLES:
            raise UserError(
                _(
                    "La monnaie d’un titre ne se rend pas (%s) : l’avoir paie une autre facture."
                )
                % means_label(self._means_of(credit))
            )
        use_id = self._use(credit, amount, key=key, means=means, note=note)
        self._enter(EntryKind.REFUNDED, credit, -amount, means, use_id)
        self._audit.write(
            "credit.refunded", f"payment:{credit.payment_id}", amount=amount, note=note
        )

    def undo(self, use_id: int, *, reason: str) -> None:
        """Take a use back: the cents are the family's credit again.

        Raises:
            UserError: it was taken back already, or its invoice gave some of it back itself.
        """
        use = self._session.get(CreditUse, (self._tenant, use_id))
        if use is None:
            raise NotFoundError
        if use.invoice_id is not None:
            hold_invoices(self._session, self._tenant, [use.invoice_id])
        credit, _left = self._lock(use.credit_id)
        if use.invoice_id is not None and use.reversed_at is None:
            given = {row.id: row.given for row in self._given(use.invoice_id)}
            if given.get(credit.payment_id, 0) < use.amount:
                raise UserError(
                    _("Une partie de cette somme a déjà été mise en avoir, depuis la facture.")
                )
        now = self._clock.now()
        undone = self._session.scalar(
            update(CreditUse)
            .where(
                CreditUse.tenant_id == self._tenant,
                CreditUse.id == use_id,
                CreditUse.reversed_at.is_(None),
            )
            .values(reversed_at=now)
            .returning(CreditUse.id)
        )
        if undone is None:
            raise UserError(_("C’est déjà annulé."))
        if use.invoice_id is None:
            self._enter(EntryKind.REFUND_UNDONE, credit, use.amount, use.means, use_id)
        else:
            self._session.execute(
                update(Allocation)
                .where(
                    Allocation.tenant_id == self._tenant, Allocation.credit_use_id == use_id
                )
                .values(reversed_at=now)
            )
        self._audit.write("credit.undone", f"payment:{credit.payment_id}", reason=reason)

    def _given(self, invoice_id: int) -> Sequence[Any]:
        """An invoice's payments and what each still gives it (`given`), the last one first."""
        back = released(self._tenant, Payment.id, invoice_id)
        return self._session.execute(
            select(
                Payment.id,
                Payment.family_id,
                cast(func.sum(Allocation.amount) - back, BigInteger).label("given"),
            )
            .join(
                Allocation,
                and_(
                    Allocation.tenant_id == Payment.tenant_id, Allocation.payment_id == Payment.id
                ),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.invoice_id == invoice_id,
                Allocation.reversed_at.is_(None),
            )
            .group_by(Payment.tenant_id, Payment.id)
            # By days, as the certificate counts.
            .order_by(
                cast(func.timezone(PARIS.key, Payment.paid_at), Date).desc(), Payment.id.desc()
            )
        ).all()

    def _means_of(self, credit: Credit) -> str:
        return self._session.scalars(
            select(Payment.means).where(
                Payment.tenant_id == self._tenant, Payment.id == credit.payment_id
            )
        ).one()

    def _lock(self, credit_id: int) -> tuple[Credit, int]:
        """The credit, held until the end: two agents who spend it wait for one another."""
        self._session.execute(
            select(Credit.id)
            .where(Credit.tenant_id == self._tenant, Credit.id == credit_id)
            .with_for_update()
        )
        return self.get(credit_id)

    def _known(self, key: str) -> bool:
        found = self._session.scalar(
            select(CreditUse.id).where(CreditUse.tenant_id == self._tenant, CreditUse.key == key)
        )
        return found is not None

    def _use(
        self,
        credit: Credit,
        amount: int,
        *,
        key: str,
        invoice_id: int | None = None,
        means: str = "",
        note: str = "",
    ) -> int:
        return self._session.scalars(
            insert(CreditUse)
            .values(
                tenant_id=self._tenant,
                key=key,
                credit_id=credit.id,
                invoice_id=invoice_id,
                amount=amount,
                means=means,
                note=note,
                actor=self._audit.actor,
                created_at=self._clock.now(),
            )
            .returning(CreditUse.id)
        ).one()

    def _enter(
        self, kind: EntryKind, credit: Credit, amount: int, means: str, use_id: int
    ) -> None:
        payment = self._session.get_one(Payment, (self._tenant, credit.payment_id))
        self._journal.open(credit.regie).enter(
            kind,
            payment_id=payment.id,
            family_id=payment.family_id,
            receipt=payment.receipt_number,
            means=means,
            amount=amount,
            credit_use_id=use_id,
        )

    def _under_way(self, invoice_id: int) -> bool:
        return bool(self._session.scalar(select(is_held(self._tenant, invoice_id))))
