"""Asking providers again and again how their attempts stand, until nothing can change any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, FromClause, Select, Text, bindparam, cast, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from core.api.context import Clock
from core.domain.payment_states import PaymentState
from core.payments.models import Payment
from core.platform.db.limits import WHOLE_TOWN
from core.platform.outbox.service import Outbox, asking

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

    def beginning(self) -> dict[str, Any]:
        """What a statement with `watched` is told: to ask from `FIRST_POLL` on."""
        return {"topic": POLL, "after": self._clock.now() + FIRST_POLL}

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
        if not reference:
            return False
        second = int(self._clock.now().timestamp()) + 1
        found = self._session.scalar(
            _asking_again(),
            {
                "tenant": self._tenant,
                "provider": provider,
                "reference": reference,
                "second": second,
                "topic": ASK,
                "after": datetime.fromtimestamp(second, self._clock.now().tzinfo),
            },
            # Who knows a reference learns no more than that it is one.
            execution_options={WHOLE_TOWN: True},
        )
        return found is not None

    def ask_those_that_failed(self, provider: str) -> None:
        """Bring forward the questions to `provider` that found no answer."""
        keys = select(cast(Payment.id, Text)).where(
            Payment.tenant_id == self._tenant,
            Payment.provider == provider,
            Payment.state.not_in((PaymentState.SETTLED, PaymentState.REVERSED)),
        )
        self._outbox.bring_forward(POLL, keys, BROUGHT_FORWARD)


def watched(started: FromClause) -> ReturningInsert[Any]:
    """SQL: ask about the attempt that `started` gives the number of, by the same statement."""
    return asking(started, {"payment_id": started.c.id}, cast(started.c.id, Text))


@cache
def _asking_again() -> Select[*tuple[Any, ...]]:
    """SQL: have the payment that a provider calls so asked after, and tell its number."""
    known = (
        select(Payment.id)
        .where(
            Payment.tenant_id == bindparam("tenant"),
            Payment.provider == bindparam("provider"),
            Payment.provider_reference == bindparam("reference"),
        )
        .cte("known")
    )
    key = func.concat(known.c.id, "/", bindparam("second", type_=BigInteger()))
    return select(known.c.id).add_cte(asking(known, {"payment_id": known.c.id}, key).cte("ask"))
