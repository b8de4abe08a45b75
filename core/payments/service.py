"""Payments that are settled: recorded from elsewhere, reversed, read, with their receipts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from core.api.context import (
    AttemptInfo,
    Clock,
    InvoiceInfo,
    NewPayment,
    PaymentInfo,
    Recorded,
    StartedAttemptInfo,
)
from core.api.messages import Document
from core.api.payments import kind_of
from core.domain.attempt_status import Standing
from core.domain.dates import in_bounds
from core.domain.payment_states import PaymentState
from core.invoices.locks import balance_due, hold_invoices, lock_invoices
from core.invoices.models import Invoice
from core.payments.attempts import Attempts
from core.payments.ledger import GivenPayment, Ledger
from core.payments.models import Allocation, Credit, Payment, PaymentAnswer
from core.payments.receipts import Receipts
from core.payments.standings import Words, for_office, for_parent, next_act, standing_of
from core.payments.watching import Watch
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError, NotPayableError
from core.platform.i18n import gettext as _
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig


class Payments:
    """The payments of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        ledger: Ledger,
        attempts: Attempts,
        watch: Watch,
        receipts: Receipts,
        audit: Audit,
        base_url: str,
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._ledger = ledger
        self._attempts = attempts
        self._watch = watch
        self._receipts = receipts
        self._audit = audit

    def online(self, invoices: Sequence[InvoiceInfo]) -> bool:
        """True if these invoices can be paid online now, together in one payment."""
        try:
            self._attempts.check(invoices)
        except NotPayableError:
            return False
        return True

    def ask_again(self, provider: str, reference: str) -> bool:
        """See `Watch.ask_again`."""
        return self._watch.ask_again(provider, reference)

    def hold(self, invoice_ids: Sequence[int]) -> None:
        """See `core.api.context.Payments.hold`."""
        hold_invoices(self._session, self._tenant, invoice_ids)

    def record(
        self,
        *,
        regie: str,
        family_id: int | None,
        means: str,
        amount: int,
        paid_at: datetime,
        payer: str,
        shares: Sequence[tuple[int, int]],
        key: str,
        authorisation: str = "",
        note: str = "",
        excess: int | None = None,
        alone: bool = False,
        visit: str = "",
        tendered: int | None = None,
    ) -> Recorded:
        """Record a payment made at the counter or by cheque. See `core.api.context.Payments`.

        Raises:
            NotPayableError: the trésorerie collects this régie, a share is not of it, the shares
                exceed the amount, or more than `excess` would be left over.
            PaymentUnderWayError: it is to be `alone`, and a parent is paying online.
            DateError: it was paid in no year that there is.
        """
        one = GivenPayment(
            family_id=family_id,
            means=means,
            amount=amount,
            paid_at=paid_at,
            payer=payer,
            shares=shares,
            key=key,
            authorisation=authorisation,
            note=note,
            excess=excess,
            visit=visit,
            tendered=tendered,
        )
        return self._record(regie, [one], alone=alone)[0]

    def record_many(
        self, regie: str, payments: Sequence[NewPayment], *, alone: bool = False
    ) -> Sequence[Recorded]:
        """Record payments of a régie, all or none of them. See `core.api.context.Payments`.

        Raises:
            UserError: as `record`, of one of them.
        """
        names = [field.name for field in fields(NewPayment)]
        given = [GivenPayment(**{name: getattr(one, name) for name in names}) for one in payments]
        return self._record(regie, given, alone=alone)

    def _record(
        self, regie: str, payments: Sequence[GivenPayment], *, alone: bool
    ) -> Sequence[Recorded]:
        for one in payments:
            in_bounds(one.paid_at)
        if not self._town.collects(regie):
            raise NotPayableError(
                _("La trésorerie encaisse cette régie : le règlement ne se saisit pas ici.")
            )
        invoices = self._held(regie, [(one.amount, one.shares) for one in payments])
        # Only now: the same form sent twice at once waits above, and then finds the first.
        known = self._known([one.key for one in payments])
        new = list({one.key: one for one in payments if one.key not in known}.values())
        if alone:
            self._attempts.make_way([invoice for one in new for invoice, _cents in one.shares])
        left = self._left(invoices, new)
        written = self._ledger.record(regie, new, invoices)
        if len(written) < len(new):
            known = self._known([one.key for one in payments])
        for one in new:
            if one.key in written:
                self._audit.write(
                    "payment.recorded",
                    f"payment:{written[one.key]}",
                    means=one.means,
                    amount=one.amount,
                )
        # The invoices are locked: the ledger found what was counted above.
        return [
            Recorded(written[one.key], left[one.key])
            if one.key in written
            else Recorded(known[one.key], self.excess(known[one.key]))
            for one in payments
        ]

    def settled(self, regie: str, payment: GivenPayment, invoice: Invoice) -> int | None:
        """Write a payment of an invoice, which is locked; None when its key has one.

        What may not be is refused before (`record`), and what was done is noted by the caller.
        """
        return self._ledger.record(regie, [payment], {invoice.id: invoice}).get(payment.key)

    def _held(
        self, regie: str, splits: Sequence[tuple[int, Sequence[tuple[int, int]]]]
    ) -> Mapping[int, Invoice]:
        """The invoices of amounts and their shares, locked; refuse what could never be."""
        if any(
            amount <= 0 or sum(cents for _id, cents in shares) > amount
            for amount, shares in splits
        ):
            raise NotPayableError(_("La répartition dépasse le montant du règlement."))
        ids = {invoice for _amount, shares in splits for invoice, _cents in shares}
        invoices = lock_invoices(self._session, self._tenant, ids)
        if any(one not in invoices or invoices[one].regie != regie for one in ids):
            raise NotPayableError(_("Une facture de la répartition n’est pas de cette régie."))
        return invoices

    def _left(
        self, invoices: Mapping[int, Invoice], payments: Sequence[NewPayment]
    ) -> dict[str, int]:
        """Count the cents of each that no invoice takes, one after the other; refuse too many."""
        takes = {one.id: balance_due(one.state, one.left) for one in invoices.values()}
        left = {}
        for one in payments:
            taken = 0
            for invoice, cents in one.shares:
                part = min(cents, takes[invoice])
                takes[invoice] -= part
                taken += part
            left[one.key] = one.amount - taken
            if one.excess is not None and left[one.key] > one.excess:
                raise NotPayableError(
                    _(
                        "Une facture a été réglée entre-temps : %s resteraient sans facture. "
                        "Rechargez la page."
                    )
                    % money(left[one.key] - one.excess)
                )
        return left

    def classify(
        self,
        payment_id: int,
        *,
        family_id: int,
        shares: Sequence[tuple[int, int]],
        excess: int | None = None,
        alone: bool = False,
    ) -> Recorded:
        """Say whose a payment is that was recorded without a family. See `core.api.context`.

        Raises:
            NotPayableError: as `record`, or it is someone's already, or was given back.
            PaymentUnderWayError: as `record`.
        """
        payment = self.row(payment_id)
        invoices = self._held(payment.regie, [(payment.amount, shares)])
        left = payment.amount - sum(cents for _id, cents in shares)
        if alone:
            self._attempts.make_way([invoice for invoice, _cents in shares])
        # Here each share has to fit its invoice: nothing is left over by itself.
        self._left(
            invoices,
            [
                NewPayment(
                    family_id=family_id,
                    means=payment.means,
                    amount=payment.amount,
                    paid_at=payment.paid_at or payment.created_at,
                    payer=payment.payer,
                    shares=shares,
                    key=payment.key,
                    excess=left if excess is None else min(left, excess),
                )
            ],
        )
        if not self._ledger.classify(payment_id, family_id, shares, actor=self._audit.actor):
            raise NotPayableError(_("Ce règlement est déjà imputé, rendu ou annulé."))
        self._audit.write("payment.classified", f"payment:{payment_id}", family=family_id)
        self._session.expire(payment)
        return Recorded(payment_id, left)

    def reverse(self, payment_id: int, *, reason: str) -> None:
        """Take a settled payment back; asked twice, it is done once."""
        if self._ledger.reverse(payment_id, reason=reason):
            self._audit.write("payment.reversed", f"payment:{payment_id}", reason=reason)

    def recorded(self, key: str) -> int | None:
        """The id of the payment that was recorded under `key`, or None."""
        return self._known([key]).get(key)

    def _known(self, keys: Sequence[str]) -> dict[str, int]:
        """The ids of the payments that were recorded under these keys, by key."""
        rows = self._session.execute(
            select(Payment.key, Payment.id).where(
                Payment.tenant_id == self._tenant, Payment.key.in_(keys)
            )
        )
        return {row.key: row.id for row in rows}

    def dismiss_anomaly(self, payment_id: int, *, reason: str) -> None:
        """Note that a person looked at an anomaly, and what was found."""
        payment = self.row(payment_id)
        found = Payment.id == payment_id
        if payment.start_refusal:
            # One cause, one look: each family that tried has such an attempt.
            found = and_(
                Payment.start_refusal == payment.start_refusal,
                Payment.regie == payment.regie,
                Payment.anomaly == payment.anomaly,
            )
        dismissed = self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.anomaly != "", found)
            .values(anomaly="", dismissed=Payment.anomaly, may_be_paid=False)
            .returning(Payment.id)
        ).all()
        for one in dismissed:
            self._ledger.release(one.id)
            self._audit.write("payment.dismissed", f"payment:{one.id}", reason=reason)

    def of_family(self, payment_id: int, family_id: int) -> Payment:
        """One payment of this family, whatever its state.

        Raises:
            NotFoundError: there is none.
        """
        payment = self._session.get(Payment, (self._tenant, payment_id))
        if payment is None or payment.family_id != family_id:
            raise NotFoundError
        return payment

    def invoice_ids(self, payment_id: int) -> list[int]:
        """The invoices that a payment was meant for."""
        return self._attempts.invoice_ids(payment_id)

    def excess(self, payment_id: int) -> int:
        """The cents of a payment that no invoice took, kept as a credit."""
        return (
            self._session.scalar(
                select(Credit.amount).where(
                    Credit.tenant_id == self._tenant,
                    Credit.payment_id == payment_id,
                    Credit.invoice_id.is_(None),
                    Credit.reversed_at.is_(None),
                )
            )
            or 0
        )

    def history(self, family_id: int) -> Sequence[PaymentInfo]:
        """The family's payments in force, newest first."""
        rows = self._session.scalars(
            select(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.family_id == family_id,
                Payment.state == PaymentState.SETTLED,
            )
            .order_by(Payment.paid_at.desc(), Payment.id.desc())
        ).all()
        return self._infos(rows)

    def asked(
        self, provider: str, since: datetime, until: datetime
    ) -> Sequence[StartedAttemptInfo]:
        """See `core.api.context.Payments.asked`. Oldest first."""
        rows = self._session.scalars(
            select(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.provider == provider,
                Payment.provider_reference != "",
                func.coalesce(Payment.paid_at, Payment.created_at).between(since, until),
            )
            .order_by(Payment.id)
        )
        return [
            StartedAttemptInfo(
                payment_id=payment.id,
                family_id=payment.family_id,
                regie=payment.regie,
                reference=payment.provider_reference,
                asked=payment.asked,
                amount=payment.amount,
                state=payment.state,
                authorisation=payment.authorisation,
                created_at=payment.created_at,
                paid_at=payment.paid_at,
            )
            for payment in rows
            if payment.family_id is not None  # As all that a provider knows.
        ]

    def get(self, payment_id: int) -> PaymentInfo | None:
        """One settled payment of a family of this town, or None."""
        payment = self._session.get(Payment, (self._tenant, payment_id), populate_existing=True)
        if payment is None or payment.state != PaymentState.SETTLED or payment.family_id is None:
            return None
        return self._infos([payment])[0]

    def last_email(self, family_id: int) -> str:
        """The e-mail that the family gave with its last online payment; "" when there is none."""
        return (
            self._session.scalar(
                select(Payment.email)
                .where(
                    Payment.tenant_id == self._tenant,
                    Payment.family_id == family_id,
                    Payment.email != "",
                )
                .order_by(Payment.id.desc())
                .limit(1)
            )
            or ""
        )

    def attempts(self, payment_ids: Collection[int]) -> Mapping[int, AttemptInfo]:
        """See `core.api.context.Payments.attempts`."""
        found = {}
        for payment, standing in self._standings(payment_ids):
            words = for_parent(standing.situation)
            found[payment.id] = AttemptInfo(
                payment_id=payment.id,
                situation=standing.situation,
                title=words.title,
                text=words.text,
                label=words.label,
                holds=standing.holds,
                acts=standing.acts,
                next_act=next_act(standing),
                url=f"{self._base_url}/paiements/{payment.id}",
            )
        return found

    def office_words(self, payment_ids: Collection[int]) -> Mapping[int, Words]:
        """Words for the régie on online payments, such as those that hold an invoice."""
        return {
            payment.id: for_office(standing.situation)
            for payment, standing in self._standings(payment_ids)
        }

    def _standings(self, payment_ids: Collection[int]) -> list[tuple[Payment, Standing]]:
        if not payment_ids:
            return []
        now = self._clock.now()
        rows = self._session.scalars(
            select(Payment).where(
                Payment.tenant_id == self._tenant, Payment.id.in_(list(payment_ids))
            )
        )
        return [(payment, standing_of(payment, now)) for payment in rows]

    def office_label(self, payment: Payment) -> str:
        """State of a payment, in two or three words for the régie."""
        return for_office(standing_of(payment, self._clock.now()).situation).label

    def row(self, payment_id: int) -> Payment:
        """One payment of this town, whatever its state and family."""
        return self._session.get_one(
            Payment, (self._tenant, payment_id), populate_existing=True
        )

    def last_word(self, payment_id: int) -> str:
        """The detail of what the provider answered last; "" when it was never asked."""
        return (
            self._session.scalar(
                select(PaymentAnswer.detail)
                .where(
                    PaymentAnswer.tenant_id == self._tenant,
                    PaymentAnswer.payment_id == payment_id,
                )
                .order_by(PaymentAnswer.id.desc())
                .limit(1)
            )
            or ""
        )

    def payer_email(self, payment_id: int) -> str:
        """The address that was given with a payment; empty if none was."""
        return (
            self._session.scalar(
                select(Payment.email).where(
                    Payment.tenant_id == self._tenant, Payment.id == payment_id
                )
            )
            or ""
        )

    def receipt(self, payment_id: int) -> Document | None:
        """The receipt of a payment that was settled, even if it came back later; else None.

        None too while nobody knows whose it is: there is nobody to give it to.
        """
        payment = self._session.get(Payment, (self._tenant, payment_id), populate_existing=True)
        return self.receipt_of(payment) if payment is not None else None

    def receipt_of(self, payment: Payment) -> Document | None:
        """`receipt` of a payment that was just read."""
        if not payment.receipt_number or payment.family_id is None:
            return None
        return self._receipts.of(payment)

    def _infos(self, payments: Sequence[Payment]) -> list[PaymentInfo]:
        shares: dict[int, list[int]] = {payment.id: [] for payment in payments}
        for row in self._session.execute(
            select(Allocation.payment_id, Allocation.invoice_id)
            .where(
                Allocation.tenant_id == self._tenant, Allocation.payment_id.in_(list(shares))
            )
            .order_by(Allocation.id)
        ):
            shares[row.payment_id].append(row.invoice_id)
        return [
            PaymentInfo(
                id=payment.id,
                family_id=payment.family_id,
                regie=payment.regie,
                amount=payment.amount,
                means=kind_of(payment.means),
                payer=payment.payer,
                paid_at=payment.paid_at or payment.created_at,
                authorisation=payment.authorisation,
                receipt_number=payment.receipt_number,
                invoice_ids=tuple(shares[payment.id]),
                note=payment.note,
            )
            for payment in payments
            if payment.family_id is not None
        ]
