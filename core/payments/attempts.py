"""A parent's attempt to pay: reserved, announced, asked after, settled or given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, get_args

from sqlalchemy import any_, func, select, update
from sqlalchemy.orm import Session

from core.api.context import Clock, InvoiceInfo
from core.api.errors import PermanentError, RetryableError
from core.api.payments import (
    Anomaly,
    Attempt,
    Failed,
    InvoiceToPay,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    Pending,
    Redirect,
    Settled,
)
from core.domain.payment_states import SOURCES, PaymentState, is_closed
from core.families.models import Family
from core.invoices.models import Invoice
from core.invoices.service import Invoices
from core.payments.ledger import Ledger
from core.payments.models import Payment, PaymentAnswer, PaymentItem
from core.payments.selection import Choice, Choices
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError, NotPayableError, PaymentUnderWayError
from core.platform.i18n import gettext as _
from core.platform.outbox.service import Outbox
from core.platform.plugins.calls import consult
from core.platform.templating import money

POLL, ASK = "payment.poll", "payment.ask"

RESTART_AFTER = timedelta(minutes=15)
"""How long a provider's page takes a parent (PAYFIP.md 2): before, lead back to it."""

FIRST_POLL = timedelta(seconds=60)

LONGEST = 45.0
"""Seconds that a provider may take for an answer; its own time-outs should end it long before."""


class Attempts:
    """The online payments of one town, until they are settled."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        ledger: Ledger,
        outbox: Outbox,
        invoices: Invoices,
        audit: Audit,
        choices: Choices,
        providers: Callable[[], Mapping[str, PaymentProvider]],
        base_url: str,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._ledger = ledger
        self._outbox = outbox
        self._invoices = invoices
        self._audit = audit
        self._choices = choices
        self._providers = providers
        self._base_url = base_url
        # Sessions forget objects that nobody holds; the click that made it goes on with it.
        self._made: Payment | None = None

    def check(self, invoices: Sequence[InvoiceInfo]) -> Choice:
        """Tell who takes these invoices together.

        Raises:
            NotPayableError: when they cannot be paid online, or not together.
        """
        if not invoices:
            raise NotPayableError(_("Choisissez une facture à payer."))
        if not all(invoice.payable for invoice in invoices):
            raise NotPayableError(
                _("Une facture choisie ne peut plus être payée en ligne : elle est déjà réglée.")
            )
        regie = invoices[0].regie
        choice = self._choices.of([regie])[regie]
        if choice is None:
            raise NotPayableError(_("Cette facture ne peut pas être payée en ligne."))
        if len({invoice.regie for invoice in invoices}) > 1:
            raise NotPayableError(
                _("Ces factures relèvent de régies différentes : payez-les séparément.")
            )
        if len(invoices) > 1 and not choice.capabilities.several_invoices:
            raise NotPayableError(_("Les factures se paient une par une."))
        for invoice in invoices:
            if not choice.capabilities.takes_reference(invoice.payment_reference):
                raise NotPayableError(
                    _("La facture %(number)s n’a pas de référence que le paiement en ligne accepte"
                      " : adressez-vous à la régie.") % {"number": invoice.number}
                )  # fmt: skip
        total = sum(invoice.balance for invoice in invoices)
        if not choice.capabilities.minimum <= total <= choice.capabilities.maximum:
            raise NotPayableError(
                _("Ce montant ne peut pas être payé en ligne : adressez-vous à la régie.")
            )
        return choice

    def create(
        self, family_id: int, invoice_ids: Sequence[int], *, email: str, language: str, key: str
    ) -> int:
        """Note a parent's wish to pay and reserve the invoices. The same `key`: the same payment.

        Raises:
            NotFoundError: an invoice is not this family's to see.
            NotPayableError: see `check`.
            PaymentUnderWayError: another attempt for one of them may still settle.
        """
        key = f"web/{family_id}/{key}"
        wanted = sorted(set(invoice_ids))
        # Before the look-up: a form sent twice at once waits here, and then finds the first.
        self._ledger.hold(wanted)
        known = self._session.scalar(
            select(Payment.id).where(Payment.tenant_id == self._tenant, Payment.key == key)
        )
        if known is not None:
            return known
        invoices = self._invoices.seen_by(family_id, wanted)
        if len(invoices) != len(wanted):
            raise NotFoundError
        choice = self.check(invoices)
        self.make_way(wanted)
        payment = Payment(
            tenant_id=self._tenant,
            key=key,
            family_id=family_id,
            regie=invoices[0].regie,
            provider=choice.provider,
            state=PaymentState.CREATED,
            amount=sum(invoice.balance for invoice in invoices),
            payer=select(Family.name)
            .where(Family.tenant_id == self._tenant, Family.id == family_id)
            .scalar_subquery(),
            email=email,
            language=language,
            created_at=self._clock.now(),
        )
        self._session.add(payment)
        self._session.flush()
        self._session.add_all(
            PaymentItem(
                tenant_id=self._tenant,
                payment_id=payment.id,
                invoice_id=invoice.id,
                amount=invoice.balance,
                live=True,
            )
            for invoice in invoices
        )
        self._session.flush()
        self._made = payment
        return payment.id

    def go(self, payment_id: int) -> str:
        """Announce the payment to its provider and tell where to send the parent.

        Commits before the provider is asked: no lock is held while another machine is waited for.
        Clicked twice, both clicks lead to the same attempt.

        Raises:
            RetryableError: the provider is away; the same call may succeed later.
            PermanentError: the provider refuses this payment; it is closed.
        """
        payment = self._session.get_one(Payment, (self._tenant, payment_id))
        if payment.state != PaymentState.CREATED:
            return self._back(payment)
        provider = self._provider(payment)
        if payment is not self._made and self._ledger.due(payment_id) < payment.amount:
            # A credit note came, or a cheque, since it was made: too much must not be asked for.
            self._close(payment_id, PaymentState.CANCELLED)
            return self._page(payment_id)
        intent = PaymentIntent(
            payment_id=payment.id,
            regie=payment.regie,
            amount=payment.amount,
            email=payment.email,
            language=payment.language,
            invoices=self._to_pay(payment_id),
            return_url=f"{self._page(payment_id)}/retour",
            notify_url=f"{self._base_url}/+{provider.key}/notification",
            created_at=payment.created_at,
        )
        self._session.commit()
        try:
            redirect = consult(
                provider.key,
                "start",
                partial(provider.start, intent),
                (Redirect,),
                seconds=LONGEST,
            )
        except PermanentError as error:
            self._answer(payment_id, "refused at start", error.reason, {})
            self._close(payment_id, PaymentState.REFUSED)
            self._session.commit()
            raise
        started = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state == PaymentState.CREATED,
            )
            .values(
                state=PaymentState.PENDING,
                provider_reference=redirect.reference,
                provider_url=redirect.url,
                asked=dict(redirect.asked),
            )
            .returning(Payment.id)
        ).one_or_none()
        if started is None:
            # Another click was faster, or the attempt was given up meanwhile. What was just
            # announced is shown to nobody, so nobody can pay it.
            self._session.refresh(payment)
            return self._back(payment)
        self._outbox.add(
            POLL,
            {"payment_id": payment_id},
            key=str(payment_id),
            after=self._clock.now() + FIRST_POLL,
        )
        return redirect.url

    def _back(self, payment: Payment) -> str:
        """Where an attempt that was announced goes on: the provider's page, or ours.

        An older one is asked after first: its page may have closed since it was last asked.
        """
        if payment.state == PaymentState.PENDING and self.may_restart(payment):
            with suppress(RetryableError):
                self.ask(payment.id)
        alive = payment.state == PaymentState.PENDING and payment.provider_url
        return payment.provider_url if alive else self._page(payment.id)

    def ask(self, payment_id: int) -> PaymentState:
        """Ask the provider how an attempt stands and write what follows from it.

        Return, notification and poller all come here, at will: the answer is written once.
        Commits before the provider is asked. Raises as `PaymentProvider.outcome` does.
        """
        payment = self._session.get_one(
            Payment, (self._tenant, payment_id), populate_existing=True
        )
        state = PaymentState(payment.state)
        if not payment.provider_reference or state in {
            PaymentState.SETTLED,
            PaymentState.REVERSED,
        }:
            return state
        provider = self._provider(payment)
        attempt = Attempt(
            payment_id=payment.id,
            regie=payment.regie,
            reference=payment.provider_reference,
            amount=payment.amount,
            created_at=payment.created_at,
            asked=payment.asked,
        )
        self._session.commit()
        outcome = consult(
            provider.key,
            "outcome",
            partial(provider.outcome, attempt),
            get_args(Outcome),
            seconds=LONGEST,
        )
        self._ledger.lock(payment_id)
        payment.answered_at = self._clock.now()
        self._apply(attempt, outcome)
        self._session.refresh(payment)
        return PaymentState(payment.state)

    def give_up(self, payment_id: int) -> None:
        """Let the parent start again, after asking a last time.

        The old attempt stays watched: if it is paid after all, the money is recorded, and what its
        invoices no longer need becomes a credit of the family.

        Raises:
            PaymentUnderWayError: it is too young: the provider's page may still be open.
        """
        payment = self._session.get_one(Payment, (self._tenant, payment_id))
        if not self.may_restart(payment):
            raise PaymentUnderWayError(payment_id)
        if payment.state == PaymentState.PENDING and not is_closed(self.ask(payment_id)):
            self._ledger.release(payment_id)
            self._audit.write("payment.superseded", f"payment:{payment_id}")

    def may_restart(self, payment: Payment) -> bool:
        """Whether the parent may start again beside this attempt."""
        if is_closed(PaymentState(payment.state)) or payment.state == PaymentState.CREATED:
            return True
        return self._clock.now() - payment.created_at >= RESTART_AFTER

    def ask_again(self, provider: str, reference: str) -> bool:
        """Ask soon, outside this request. At most one question a second and attempt.

        A question that came within the second is answered at its end, so none comes too early.
        """
        payment_id = self._session.scalar(
            select(Payment.id).where(
                Payment.tenant_id == self._tenant,
                Payment.provider == provider,
                Payment.provider_reference == reference,
            )
        )
        if payment_id is None or not reference:
            return False
        second = int(self._clock.now().timestamp()) + 1
        self._outbox.add(
            ASK,
            {"payment_id": payment_id},
            key=f"{payment_id}/{second}",
            after=datetime.fromtimestamp(second, self._clock.now().tzinfo),
        )
        return True

    def _page(self, payment_id: int) -> str:
        return f"{self._base_url}/paiements/{payment_id}"

    def _provider(self, payment: Payment) -> PaymentProvider:
        provider = self._providers().get(payment.provider)
        if provider is None:
            # The plugin was disabled or its settings are broken: the attempt waits, not lost.
            raise RetryableError(f"provider {payment.provider!r} is not available")
        return provider

    def _to_pay(self, payment_id: int) -> tuple[InvoiceToPay, ...]:
        rows = self._session.execute(
            select(
                Invoice.number,
                Invoice.payment_reference,
                Invoice.label,
                Invoice.fiscal_year,
                PaymentItem.amount,
            )
            .join(
                PaymentItem,
                (PaymentItem.tenant_id == Invoice.tenant_id)
                & (PaymentItem.invoice_id == Invoice.id),
            )
            .where(PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id)
            .order_by(PaymentItem.id)
        )
        return tuple(InvoiceToPay(**row) for row in rows.mappings())

    def make_way(self, invoice_ids: Sequence[int]) -> None:
        """Clear away attempts that never left the house; refuse beside one that did.

        Raises:
            PaymentUnderWayError: a provider knows one, which may still settle.
        """
        # An array that is filled first: where PostgreSQL does not know yet how many payments a town
        # has, it would hold each of them against each item.
        held = func.array(
            select(PaymentItem.payment_id).where(
                PaymentItem.tenant_id == self._tenant,
                PaymentItem.invoice_id.in_(invoice_ids),
                PaymentItem.live,
            ).scalar_subquery()
        )
        payments = self._session.scalars(
            select(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == any_(held))
            .order_by(Payment.id)
            .with_for_update(of=Payment, key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        for payment in payments:
            if payment.state != PaymentState.CREATED:
                raise PaymentUnderWayError(payment.id)
            self._close(payment.id, PaymentState.CANCELLED)

    def _apply(self, attempt: Attempt, outcome: Outcome) -> None:
        match outcome:
            case Settled() if outcome.amount != attempt.amount:
                reason = _("Montant payé : %(paid)s, au lieu de %(asked)s.") % {
                    "paid": money(outcome.amount),
                    "asked": money(attempt.amount),
                }
                self._flag(attempt.payment_id, reason, outcome.raw)
            case Settled():
                self._answer(attempt.payment_id, "settled", outcome.authorisation, outcome.raw)
                self._ledger.settle(
                    attempt.payment_id,
                    means=outcome.means,
                    paid_at=outcome.paid_at,
                    authorisation=outcome.authorisation,
                )
            case Failed():
                self._answer(attempt.payment_id, outcome.kind, "", outcome.raw)
                self._close(attempt.payment_id, PaymentState(outcome.kind))
            case Anomaly():
                self._flag(attempt.payment_id, outcome.reason, outcome.raw)
            case Pending():
                self._answer(attempt.payment_id, "pending", outcome.detail, outcome.raw)
                self._session.execute(
                    update(Payment)
                    .where(
                        Payment.tenant_id == self._tenant,
                        Payment.id == attempt.payment_id,
                        Payment.state == PaymentState.PENDING,
                    )
                    .values(provider_url=outcome.resume_url if outcome.resumable else "")
                )

    def _close(self, payment_id: int, state: PaymentState) -> None:
        closed = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.in_(SOURCES[state]),
            )
            .values(state=state)
            .returning(Payment.id)
        ).one_or_none()
        if closed is not None:
            self._ledger.release(payment_id)

    def _flag(self, payment_id: int, reason: str, raw: Mapping[str, str]) -> None:
        self._answer(payment_id, "anomaly", reason, raw)
        self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.not_in((PaymentState.SETTLED, PaymentState.REVERSED)),
            )
            .values(anomaly=reason)
        )

    def _answer(self, payment_id: int, outcome: str, detail: str, raw: Mapping[str, Any]) -> None:
        """Keep what was answered, unless it is what was answered last."""
        last = self._session.scalar(
            select(PaymentAnswer)
            .where(PaymentAnswer.tenant_id == self._tenant, PaymentAnswer.payment_id == payment_id)
            .order_by(PaymentAnswer.id.desc())
            .limit(1)
        )
        new = {"outcome": str(outcome), "detail": detail, "raw": dict(raw)}
        if last is None or new != {
            "outcome": last.outcome,
            "detail": last.detail,
            "raw": last.raw,
        }:
            self._session.add(
                PaymentAnswer(tenant_id=self._tenant, payment_id=payment_id, **new)
            )
