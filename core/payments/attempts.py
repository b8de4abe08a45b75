"""A parent's attempt to pay: reserved, announced, asked after, settled or given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    and_,
    any_,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.api.context import Clock, InvoiceInfo
from core.api.errors import PermanentError, RetryableError, StartRefusedError
from core.api.payments import (
    Anomaly,
    Attempt,
    Failed,
    FailureKind,
    InvoiceToPay,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    Pending,
    Redirect,
    Settled,
)
from core.domain.attempt_status import Act, LastAnswer, Standing
from core.domain.payment_states import SOURCES, PaymentState, is_closed
from core.domain.start_refusals import CONSEQUENCES, RefusalKind
from core.invoices.locks import hold_invoices
from core.invoices.models import Invoice
from core.invoices.service import Invoices
from core.payments.attempt_statements import (
    ids_beside,
    invoices_to_pay,
    is_in_the_way,
    look_up,
    note_start,
    reserve,
)
from core.payments.ledger import Ledger
from core.payments.models import (
    SAME_REFERENCE,
    Payment,
    PaymentAnswer,
    PaymentItem,
)
from core.payments.standings import standing_of
from core.payments.watching import Watch
from core.platform import i18n
from core.platform.audit.service import Audit
from core.platform.db.session import read
from core.platform.db.violations import violated
from core.platform.errors import (
    EarlierAttemptError,
    NotFoundError,
    NotPayableError,
    PaymentUnderWayError,
)
from core.platform.i18n import gettext as _
from core.platform.plugins.calls import ContractError, call_bounded, report_fault
from core.platform.plugins.rests import FaultError
from core.platform.plugins.selection import ProviderChoice, ProviderSelection
from core.platform.plugins.visits import Access
from core.platform.templating import day, money

PROVIDER_TIMEOUT_SECONDS = 45.0
"""Seconds that a provider may take for an answer; its own time-outs should end it long before."""

START_LEASE = timedelta(seconds=60)
"""Time for which one click may announce a payment while the others wait.

Longer than `PROVIDER_TIMEOUT_SECONDS`.
"""

START_WAIT_SECONDS = 3.0
"""Seconds that another click waits for the one that announces; then it shows the payment's page."""


_RESOLVED = {"anomaly": "", "may_be_paid": False}
"""Values that a clean answer of any kind sets: nobody has to look any more."""


class Attempts:
    """The online payments of one town, until they are settled."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        ledger: Ledger,
        watch: Watch,
        invoices: Invoices,
        audit: Audit,
        choices: ProviderSelection,
        providers: Callable[[], Mapping[str, PaymentProvider]],
        base_url: str,
        language: str,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._ledger = ledger
        self._watch = watch
        self._invoices = invoices
        self._audit = audit
        self._choices = choices
        self._providers = providers
        self._base_url = base_url
        # What a provider says is kept for the régie, whoever happens to ask.
        self._language = language
        # Sessions forget objects that nobody holds; the click that made it goes on with it.
        self._made: Payment | None = None
        self._made_of: tuple[InvoiceToPay, ...] = ()

    def check(self, invoices: Sequence[InvoiceInfo]) -> ProviderChoice:
        """Tell who takes these invoices together.

        Raises:
            NotPayableError: when they cannot be paid online, or not together.
        """
        if not invoices:
            raise NotPayableError(_("Choisissez une facture à payer."))
        debited = next((one.debited_on for one in invoices if one.debited_on), None)
        if debited is not None:
            raise NotPayableError(
                _("Une facture choisie est prélevée le %(day)s : il n’y a rien à faire.")
                % {"day": day(debited)}
            )
        if not all(invoice.payable for invoice in invoices):
            raise NotPayableError(
                _("Une facture choisie ne peut plus être payée en ligne : elle est déjà réglée.")
            )
        regie = invoices[0].regie
        choice = self._choices.of([regie])[regie]
        if choice is None:
            raise NotPayableError(_("Cette facture ne peut pas être payée en ligne."))
        if len({invoice.regie for invoice in invoices}) > 1:
            raise NotPayableError(
                _("Ces factures relèvent de régies différentes : payez-les séparément.")
            )
        if len(invoices) > 1 and not choice.capabilities.several_invoices:
            raise NotPayableError(_("Les factures se paient une par une."))
        for invoice in invoices:
            if not choice.capabilities.takes_reference(invoice.payment_reference):
                raise NotPayableError(
                    _("La facture %(number)s n’a pas de référence que le paiement en ligne accepte"
                      " : adressez-vous à la régie.") % {"number": invoice.number}
                )  # fmt: skip
        total = sum(invoice.balance for invoice in invoices)
        if not choice.capabilities.minimum <= total <= choice.capabilities.maximum:
            raise NotPayableError(
                _("Ce montant ne peut pas être payé en ligne : adressez-vous à la régie.")
            )
        return choice

    def create(
        self,
        family_id: int,
        invoice_ids: Sequence[int],
        *,
        email: str,
        language: str,
        key: str,
        told: Collection[int] = (),
        starting: bool = False,
    ) -> int:
        """Note a parent's wish to pay and reserve the invoices. The same `key`: the same payment.

        `told`: earlier attempts of which the parent was told that they may still settle.
        `starting`: the caller starts the payment next, so that nobody else begins to.

        Raises:
            NotFoundError: an invoice is not this family's to see.
            NotPayableError: see `check`.
            PaymentUnderWayError: another attempt holds one of them.
            EarlierAttemptError: earlier attempts may still settle, and the parent was not told.
        """
        key = f"web/{family_id}/{key}"
        wanted = sorted(set(invoice_ids))
        # Before the look-up: a form sent twice at once waits here, and then finds the first.
        hold_invoices(self._session, self._tenant, wanted)
        known, in_the_way = read(
            self._session,
            look_up(),
            {"tenant": self._tenant, "key": key, "invoices": wanted},
        ).one()
        if known is not None:
            return int(known)
        invoices = self._invoices.seen_by(family_id, wanted)
        if len(invoices) != len(wanted):
            raise NotFoundError
        choice = self.check(invoices)
        if in_the_way:
            self.make_way(wanted, told)
        now = self._clock.now()
        values = {
            "tenant_id": self._tenant,
            "key": key,
            "family_id": family_id,
            "regie": invoices[0].regie,
            "provider": choice.provider,
            "amount": sum(invoice.balance for invoice in invoices),
            "email": email,
            "language": language,
            "created_at": now,
            "starting_at": now if starting else None,
        }
        reserved = self._session.execute(
            reserve(),
            {f"new_{name}": value for name, value in values.items()}
            | {
                "invoices": [invoice.id for invoice in invoices],
                "amounts": [invoice.balance for invoice in invoices],
            },
        ).all()
        payment: Payment = reserved[0][-1]
        self._made = payment
        self._made_of = tuple(InvoiceToPay(*told_of) for *told_of, _payment in reserved)
        return payment.id

    def start(self, payment_id: int) -> str:
        """Announce the payment to its provider and tell where to send the parent.

        Commits before the provider is asked: no lock is held while another machine is waited for.
        Clicked twice, both clicks lead to the same attempt.

        Raises:
            RetryableError: the provider is away; the same call may succeed later.
            StartRefusedError: the provider refuses to open this payment; it is closed.
            PaymentUnderWayError: the money of another attempt may be there; this one is closed.
        """
        payment = self._session.get_one(Payment, (self._tenant, payment_id))
        if payment.state != PaymentState.CREATED:
            return self._resume_url(payment)
        provider = self._provider(payment)
        made_here = payment is self._made
        if not made_here:
            if self._ledger.due(payment_id) < payment.amount:
                # A credit note or a cheque came since it was made: too much must not be asked for.
                self._close(payment_id, PaymentState.CANCELLED)
                return self._page(payment_id)
            doubtful = self._beside(
                self.invoice_ids(payment_id), Payment.may_be_paid.is_(True)
            )
            if doubtful:
                # An earlier attempt turned out to be paid, perhaps, since this one was made.
                self._close(payment_id, PaymentState.CANCELLED)
                self._session.commit()
                raise PaymentUnderWayError(doubtful[0].id)
        intent = PaymentIntent(
            payment_id=payment.id,
            regie=payment.regie,
            amount=payment.amount,
            email=payment.email,
            language=payment.language,
            invoices=self._made_of if made_here else self._to_pay(payment_id),
            return_url=f"{self._page(payment_id)}/retour",
            notify_url=f"{self._base_url}/+{provider.key}/notification",
            created_at=payment.created_at,
        )
        if made_here and payment.starting_at is not None:
            self._session.commit()  # The claim stands in the row itself.
        elif not self._claim_start(payment):
            return self._follow(payment)
        try:
            with i18n.use(self._language):
                redirect = call_bounded(
                    provider.key,
                    "start",
                    partial(provider.start, intent),
                    (Redirect,),
                    town=self._tenant,
                    seconds=PROVIDER_TIMEOUT_SECONDS,
                    access=Access.WRITE,
                )
        except PermanentError as error:
            refusal = (
                error
                if isinstance(error, StartRefusedError)
                else StartRefusedError(RefusalKind.UNKNOWN, error.reason)
            )
            self._refuse(payment_id, refusal)
            self._session.commit()
            raise refusal from error
        except RetryableError:
            self._free_start(payment_id)
            raise
        if not self._write_start(payment, redirect):
            # The attempt was given up meanwhile. What was just announced is shown to nobody, so
            # nobody can pay it.
            self._session.refresh(payment)
            return self._resume_url(payment)
        return redirect.url

    def _write_start(self, payment: Payment, redirect: Redirect) -> bool:
        """Keep how the provider calls the payment, and ask after it soon; False: it was given up.

        Refusals that it disproves wait for the office no more, since the provider opened it.

        Raises:
            FaultError: the provider calls another payment so. This one is free to be announced.
        """
        try:
            found = read(
                self._session,
                note_start(),
                {
                    "tenant": self._tenant,
                    "payment": payment.id,
                    "opened_by": payment.provider,
                    "opened_in": payment.regie,
                    "new_provider_reference": redirect.reference,
                    "new_provider_url": redirect.url,
                    "new_payer_reference": redirect.payer_reference,
                    "new_asked": dict(redirect.asked),
                }
                | self._watch.beginning(),
            ).one_or_none()
        except IntegrityError as error:
            # Nothing else is lost: what came before was committed, before the provider was asked.
            self._session.rollback()
            if violated(error) != SAME_REFERENCE:
                raise
            self._free_start(payment.id)
            nonsense = ContractError(
                f"gave the reference {redirect.reference!r:.80}, which another payment has"
            )
            report_fault(payment.provider, "start", nonsense)
            raise FaultError(f"plugin {payment.provider!r} failed in start: {nonsense}") from error
        self._session.expire(payment)
        return found is not None

    def _claim_start(self, payment: Payment) -> bool:
        """Let one click announce the payment, and commit. A dead process's claim runs out."""
        now = self._clock.now()
        claimed = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment.id,
                Payment.state == PaymentState.CREATED,
                or_(Payment.starting_at.is_(None), Payment.starting_at < now - START_LEASE),
            )
            .values(starting_at=now)
            .returning(Payment.id)
        ).one_or_none()
        self._session.commit()
        return claimed is not None

    def _free_start(self, payment_id: int) -> None:
        """Let the next click announce the payment at once."""
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment_id)
            .values(starting_at=None)
        )
        self._session.commit()

    def _follow(self, payment: Payment) -> str:
        """Go where the click leads that announces the payment; its page when that takes long."""
        end = time.monotonic() + START_WAIT_SECONDS
        while True:
            self._session.refresh(payment)
            self._session.commit()
            if payment.state != PaymentState.CREATED or payment.starting_at is None:
                return self._resume_url(payment)
            if time.monotonic() > end:
                return self._page(payment.id)
            time.sleep(0.1)

    def _refuse(self, payment_id: int, refusal: StartRefusedError) -> None:
        """Close an attempt that the provider did not open, and tell the office if it must act."""
        self._record_answer(payment_id, "refused at start", refusal.reason, {})
        if not self._close(payment_id, PaymentState.REFUSED):
            return
        told = CONSEQUENCES[refusal.kind].for_the_office
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment_id)
            .values(
                start_refusal=refusal.kind,
                anomaly=(refusal.reason or str(refusal.kind)) if told else "",
            )
        )

    def _resume_url(self, payment: Payment) -> str:
        """URL where an attempt that was announced goes on: the provider's page, or ours.

        An older one is asked after first: its page may have closed since it was last asked.
        """
        if payment.state == PaymentState.PENDING and self.may_restart(payment):
            with suppress(RetryableError):
                self.poll(payment.id)
        takes = Act.RESUME in self.standing(payment).acts and payment.provider_url
        if takes and self._ledger.take_back(payment.id):
            # A further try begins: what became of the one before says nothing of it.
            self._note(payment.id, last_answer=LastAnswer.PENDING)
            return payment.provider_url
        return self._page(payment.id)

    def standing(self, payment: Payment) -> Standing:
        """Tell what an attempt means now."""
        return standing_of(payment, self._clock.now())

    def poll(self, payment_id: int) -> PaymentState:
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
        with i18n.use(self._language):
            outcome = call_bounded(
                provider.key,
                "outcome",
                partial(provider.outcome, attempt),
                get_args(Outcome),
                town=self._tenant,
                seconds=PROVIDER_TIMEOUT_SECONDS,
                access=Access.WRITE,
            )
        if isinstance(outcome, Settled) and outcome.amount == attempt.amount:
            if self._settle(payment_id, outcome):
                self._session.expire(payment)
                return PaymentState.SETTLED
        else:
            self._ledger.lock(payment_id)
            payment.answered_at = self._clock.now()
            self._apply(attempt, outcome)
        self._session.refresh(payment)
        return PaymentState(payment.state)

    def _settle(self, payment_id: int, outcome: Settled) -> bool:
        """Write that the money is there; False when that is written already."""
        answer = self._new_answer(payment_id, "settled", outcome.authorisation, outcome.raw)
        return self._ledger.settle(
            payment_id,
            means=outcome.means,
            paid_at=outcome.paid_at,
            authorisation=outcome.authorisation,
            # By the settlement's own statement: each of its own would cost a round trip.
            noted={"last_answer": LastAnswer.SETTLED, "answered_at": self._clock.now()},
            beside=(answer.cte("answer"),),
        )

    def give_up(self, payment_id: int) -> None:
        """Let the parent start again, told that this attempt may still settle; ask a last time.

        The old attempt stays watched: if it is paid after all, the money is recorded, and what its
        invoices no longer need becomes a credit of the family.

        Raises:
            PaymentUnderWayError: it is too young, the provider's page may still be open; or its
                money may be there.
        """
        payment = self._session.get_one(Payment, (self._tenant, payment_id))
        if not self.may_restart(payment):
            raise PaymentUnderWayError(payment_id)
        if payment.state == PaymentState.PENDING and not is_closed(self.poll(payment_id)):
            if payment.may_be_paid:
                raise PaymentUnderWayError(payment_id)
            self._supersede(payment)

    def _supersede(self, payment: Payment) -> None:
        self._ledger.release(payment.id)
        if payment.superseded_at is None:
            payment.superseded_at = self._clock.now()
            self._session.flush()
            self._audit.write("payment.superseded", f"payment:{payment.id}")

    def may_restart(self, payment: Payment) -> bool:
        """True if the parent may start again beside this attempt."""
        now = self.standing(payment)
        return not now.holds or Act.RESTART in now.acts

    def earlier(self, invoice_ids: Collection[int]) -> Sequence[Payment]:
        """Attempts for one of the invoices that may still settle, though they hold none of them.

        Whoever pays one of these invoices is told of them.
        """
        return [
            payment
            for payment in self._beside(
                invoice_ids,
                and_(
                    Payment.state == PaymentState.PENDING,
                    Payment.dismissed == "",
                    Payment.provider_reference != "",
                ),
            )
            if not self.standing(payment).holds
        ]

    def _beside(
        self, invoice_ids: Collection[int], which: ColumnElement[bool], *, lock: bool = False
    ) -> Sequence[Payment]:
        """The online attempts for one of the invoices of which `which` is true, oldest first."""
        ids = literal(list(invoice_ids), ARRAY(BigInteger))
        found = ids_beside(self._tenant, ids, which)
        query = (
            select(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.id == any_(found))
            .order_by(Payment.id)
            .execution_options(populate_existing=True)
        )
        if lock:
            query = query.with_for_update(of=Payment, key_share=True)
        return self._session.scalars(query).all()

    def invoice_ids(self, payment_id: int) -> list[int]:
        """The invoices that a payment was meant for."""
        return list(
            self._session.scalars(
                select(PaymentItem.invoice_id)
                .where(
                    PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id
                )
                .order_by(PaymentItem.id)
            )
        )

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
            invoices_to_pay(PaymentItem.amount)
            .join(
                PaymentItem,
                (PaymentItem.tenant_id == Invoice.tenant_id)
                & (PaymentItem.invoice_id == Invoice.id),
            )
            .where(PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id)
            .order_by(PaymentItem.id)
        )
        return tuple(InvoiceToPay(**row) for row in rows.mappings())

    def make_way(
        self, invoice_ids: Sequence[int], told: Collection[int] | None = None
    ) -> None:
        """Clear away attempts that never left the house; refuse beside one that holds an invoice.

        `told`: of which attempts that may still settle the parent was told; None where money is
        there already, so that nobody has to be told.

        Raises:
            PaymentUnderWayError: a provider knows one, which may still settle.
            EarlierAttemptError: one may still settle, though it holds nothing, and was not told.
        """
        untold = []
        for payment in self._beside(invoice_ids, is_in_the_way(), lock=True):
            if payment.state == PaymentState.CREATED:
                self._close(payment.id, PaymentState.CANCELLED)
            elif payment.may_be_paid:
                raise PaymentUnderWayError(payment.id)
            elif payment.superseded_at is None and not payment.dismissed:
                if self.standing(payment).holds:
                    raise PaymentUnderWayError(payment.id)
                if told is None:
                    continue
                if payment.id in told:
                    self._supersede(payment)
                else:
                    untold.append(payment.id)
        if untold:
            raise EarlierAttemptError(tuple(untold))

    def _apply(self, attempt: Attempt, outcome: Outcome) -> None:
        number = attempt.payment_id
        match outcome:
            case Settled():  # Of another amount: see `poll`.
                reason = _("Montant payé : %(paid)s, au lieu de %(asked)s.") % {
                    "paid": money(outcome.amount),
                    "asked": money(attempt.amount),
                }
                self._mark_anomaly(number, LastAnswer.ANOMALY, reason, outcome.raw)
            case Failed():
                self._record_answer(number, outcome.kind, "", outcome.raw)
                self._note(number, last_answer=LastAnswer(outcome.kind), **_RESOLVED)
                self._close(number, PaymentState(outcome.kind))
            case Anomaly():
                self._mark_anomaly(
                    number,
                    LastAnswer.ANOMALY,
                    outcome.reason,
                    outcome.raw,
                    may_be_paid=outcome.may_be_paid,
                )
            case Pending() if outcome.watched:
                self._mark_anomaly(number, LastAnswer.UNKNOWN, outcome.detail, outcome.raw)
            case Pending():
                self._still_pending(number, outcome)

    def _still_pending(self, payment_id: int, outcome: Pending) -> None:
        """A try that failed lets go of the invoices; a clean answer ends an anomaly."""
        self._record_answer(payment_id, "pending", outcome.detail, outcome.raw)
        failed = outcome.detail in {FailureKind.REFUSED, FailureKind.CANCELLED}
        self._note(
            payment_id,
            last_answer=LastAnswer(outcome.detail) if failed else LastAnswer.PENDING,
            provider_url=outcome.resume_url if outcome.resumable else "",
            **_RESOLVED,
        )
        if failed:
            self._ledger.release(payment_id)

    def _note(self, payment_id: int, **values: Any) -> None:
        """Write what the last answer changes on an attempt that is not settled."""
        self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.not_in((PaymentState.SETTLED, PaymentState.REVERSED)),
            )
            .values(**values)
        )

    def _close(self, payment_id: int, state: PaymentState) -> bool:
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
        if closed is None:
            return False
        self._ledger.release(payment_id)
        return True

    def _mark_anomaly(
        self,
        payment_id: int,
        answer: LastAnswer,
        reason: str,
        raw: Mapping[str, str],
        *,
        may_be_paid: bool = True,
    ) -> None:
        """Let a person look at an answer, unless one looked at this very answer already.

        The provider's page is closed to the parent: what it would take is not known.
        """
        self._record_answer(payment_id, answer, reason, raw)
        self._note(payment_id, provider_url="", last_answer=answer)
        flagged = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.not_in((PaymentState.SETTLED, PaymentState.REVERSED)),
                Payment.dismissed != reason,
            )
            .values(anomaly=reason, may_be_paid=may_be_paid)
            .returning(Payment.id)
        ).one_or_none()
        if flagged is not None and not may_be_paid:
            self._ledger.release(payment_id)

    def _record_answer(
        self, payment_id: int, outcome: str, detail: str, raw: Mapping[str, Any]
    ) -> None:
        """Keep what was answered, unless it is what was answered last."""
        self._session.execute(self._new_answer(payment_id, outcome, detail, raw))

    def _new_answer(
        self, payment_id: int, outcome: str, detail: str, raw: Mapping[str, Any]
    ) -> Insert:
        """SQL: see `_record_answer`. Whoever else does the same waits for the invoices' locks."""
        answer = PaymentAnswer.__table__.c
        said = {answer.outcome: str(outcome), answer.detail: detail, answer.raw: dict(raw)}
        last = (
            select(*said)
            .where(answer.tenant_id == self._tenant, answer.payment_id == payment_id)
            .order_by(answer.id.desc())
            .limit(1)
            .subquery()
        )
        same = exists().where(
            *(last.c[column.name] == literal(value, column.type) for column, value in said.items())
        )
        row = {answer.tenant_id: self._tenant, answer.payment_id: payment_id, **said}
        new = select(*(literal(value, column.type) for column, value in row.items())).where(~same)
        return insert(PaymentAnswer).from_select(list(row), new)
