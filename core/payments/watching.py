"""Asking providers again and again how their attempts stand, until nothing can change any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.domain.payment_states import PaymentState
from core.payments.models import Payment
from core.platform.outbox.service import Outbox

POLL, ASK = "payment.poll", "payment.ask"

FIRST_POLL = timedelta(seconds=60)

BROUGHT_FORWARD = timedelta(seconds=60)
"""Over how long the questions spread that an outage kept waiting."""


class Watch:
    """Questions to providers about the attempts of one town, each a row of the outbox."""

    def __init__(self, session: Session, tenant: str, clock: Clock, outbox: Outbox) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._outbox = outbox

    def attempt(self, payment_id: int) -> Payment:
        """The attempt that a question is about."""
        return self._session.get_one(Payment, (self._tenant, payment_id))

    def begin(self, payment_id: int) -> None:
        """Ask about an attempt from `FIRST_POLL` on."""
        self._outbox.add(
            POLL,
            {"payment_id": payment_id},
            key=str(payment_id),
            after=self._clock.now() + FIRST_POLL,
        )

    def begin_where_missing(self) -> None:
        """Give each open attempt whose row is gone a new one: a safety net, else without effect."""
        open_attempts = self._session.scalars(
            select(Payment.id).where(
                Payment.tenant_id == self._tenant,
                or_(Payment.state == PaymentState.PENDING, Payment.may_be_paid),
                Payment.provider_reference != "",
            )
        )
        for payment_id in open_attempts:
            self._outbox.add(POLL, {"payment_id": payment_id}, key=str(payment_id))

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

    def ask_those_that_failed(self, provider: str) -> None:
        """Bring forward the questions to `provider` that found no answer."""
        keys = select(cast(Payment.id, Text)).where(
            Payment.tenant_id == self._tenant,
            Payment.provider == provider,
            Payment.state.not_in((PaymentState.SETTLED, PaymentState.REVERSED)),
        )
        self._outbox.bring_forward(POLL, keys, BROUGHT_FORWARD)
