"""The journal of each régie: the one place where its entries are written, numbered and chained.

An entry's hash is over the entry and the hash before it (CHEQUES_AND_FORMATS 3.4), so that the last
hash of a closed month proves every entry up to it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.clock import today
from core.models import EntryKind, Family, JournalEntry, Payment
from core.services.audit import Audit


@dataclass(frozen=True, slots=True)
class Facts:
    """What an entry's hash is over, in this order. `amount` is in cents, signed."""

    regie: str
    year: int
    number: int
    at: datetime
    kind: str
    receipt: str
    means: str
    amount: int
    family_code: str
    actor: str

    def hash(self, before: str) -> str:
        """The hash of an entry that follows the one whose hash is `before` ("" for the first)."""
        facts = (
            before, self.regie, self.year, self.number, self.at.astimezone(UTC).isoformat(),
            self.kind, self.receipt, self.means, self.amount, self.family_code, self.actor,
        )  # fmt: skip
        return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()


class Journal:
    """Writes the journal of one town."""

    def __init__(self, session: Session, tenant: str, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

    def lock(self, regie: str) -> None:
        """Let nobody else write in this régie's journal until the transaction ends."""
        name = func.hashtextextended(f"{self._tenant}/{regie}", 2)
        self._session.execute(select(func.pg_advisory_xact_lock(name)))

    def enter(
        self,
        kind: EntryKind,
        payment: Payment,
        amount: int,
        *,
        means: str = "",
        credit_use_id: int | None = None,
    ) -> None:
        """Add an entry of `amount` cents, negative when money goes back, maybe by other `means`."""
        self.lock(payment.regie)
        # Asked only now: an entry must not fall into a month that was closed while it waited.
        now = self._clock.now()
        last = self._session.scalar(
            select(JournalEntry)
            .where(
                JournalEntry.tenant_id == self._tenant,
                JournalEntry.regie == payment.regie,
                JournalEntry.year >= today(now).year,
            )
            .order_by(JournalEntry.year.desc(), JournalEntry.number.desc())
            .limit(1)
        )
        at = max(now, last.at) if last else now
        family_code = self._session.scalars(
            select(Family.code).where(
                Family.tenant_id == self._tenant, Family.id == payment.family_id
            )
        ).one()
        facts = Facts(
            regie=payment.regie,
            year=today(at).year,
            number=last.number + 1 if last else 1,
            at=at,
            kind=kind,
            receipt=payment.receipt_number,
            means=means or payment.means,
            amount=amount,
            family_code=family_code,
            actor=self._audit.actor,
        )
        self._session.add(
            JournalEntry(
                tenant_id=self._tenant,
                payment_id=payment.id,
                credit_use_id=credit_use_id,
                hash=facts.hash(last.hash if last else ""),
                **{name: getattr(facts, name) for name in Facts.__slots__},
            )
        )
        self._session.flush()
