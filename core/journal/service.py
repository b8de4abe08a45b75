"""The journal of each régie: the one place where its entries are written, numbered and chained.

An entry's hash is over the entry and the hash before it (CHEQUES_AND_FORMATS 3.4), so that the last
hash of a closed month proves every entry up to it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    bindparam,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.families.models import Family
from core.journal.models import EntryKind, JournalEntry
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.db.session import read


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that an entry's hash covers, in this order. `amount` is in cents, signed."""

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
    """The journals of one town's régies."""

    def __init__(self, session: Session, tenant: str, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

    def open(self, regie: str) -> OpenJournal:
        """The régie's journal, in which nobody else writes until the transaction ends."""
        self._session.execute(select(self.lock(literal(regie))))
        return self.opened(regie)

    def lock(self, regie: SQLColumnExpression[str]) -> ColumnElement[Any]:
        """SQL: have the journal of a régie, for a statement that writes what comes before it."""
        name = func.hashtextextended(func.concat(self._tenant, "/", regie), 2)
        return func.pg_advisory_xact_lock(name)

    def opened(self, regie: str) -> OpenJournal:
        """The journal of a régie whose `lock` this transaction has."""
        return OpenJournal(self._session, self._tenant, self._clock, self._audit, regie)


class OpenJournal:
    """The journal of one régie, held by the transaction that opened it."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, audit: Audit, regie: str
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit
        self._regie = regie

    def enter(
        self,
        kind: EntryKind,
        *,
        receipt: str,
        means: str,
        amount: int,
        payment_id: int | None = None,
        family_id: int | None = None,
        credit_use_id: int | None = None,
        remittance_id: int | None = None,
    ) -> str:
        """Add an entry of `amount` cents, negative when money goes back or leaves the till.

        It is of a payment or of a remittance. `family_id` is None while nobody knows whose it is.
        Tells the entry's hash.
        """
        # Asked only now: an entry must not fall into a month that was closed while it waited.
        now = self._clock.now()
        last = read(
            self._session,
            _family_and_last_entry(),
            {
                "tenant": self._tenant,
                "family": family_id,
                "regie": self._regie,
                "year": today(now).year,
            },
        ).one()
        at = max(now, last.at) if last.at else now
        facts = Facts(
            regie=self._regie,
            year=today(at).year,
            number=(last.number or 0) + 1,
            at=at,
            kind=kind,
            receipt=receipt,
            means=means,
            amount=amount,
            family_code=last.family_code,
            actor=self._audit.actor,
        )
        digest = facts.hash(last.hash or "")
        self._session.execute(
            insert(JournalEntry).values(
                tenant_id=self._tenant,
                payment_id=payment_id,
                credit_use_id=credit_use_id,
                remittance_id=remittance_id,
                hash=digest,
                **{name: getattr(facts, name) for name in Facts.__slots__},
            )
        )
        return digest


@cache
def _family_and_last_entry() -> Select[*tuple[Any, ...]]:
    tenant: BindParameter[str] = bindparam("tenant")
    last = (
        select(JournalEntry.number, JournalEntry.at, JournalEntry.hash)
        .where(
            JournalEntry.tenant_id == tenant,
            JournalEntry.regie == bindparam("regie"),
            JournalEntry.year >= bindparam("year"),
        )
        .order_by(JournalEntry.year.desc(), JournalEntry.number.desc())
        .limit(1)
        .subquery()
    )
    code = (
        select(Family.code)
        .where(Family.tenant_id == tenant, Family.id == bindparam("family", type_=BigInteger))
        .scalar_subquery()
    )
    one = select(func.coalesce(code, "").label("family_code")).subquery()
    return select(one.c.family_code, last.c.number, last.c.at, last.c.hash).join_from(
        one, last, true(), isouter=True
    )
