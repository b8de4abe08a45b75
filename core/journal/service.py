"""The journal of each régie: the one place where its entries are written, numbered and chained.

An entry's hash is over the entry and the hash before it (CHEQUES_AND_FORMATS 3.4), so that the last
hash of a closed month proves every entry up to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    any_,
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
from core.platform.db.session import change, read


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


class Movement(TypedDict):
    """Movement to be entered: of a payment or of a remittance.

    `amount` is in cents, negative when money goes back or leaves the till. Without `family_id`
    nobody knows whose it is.
    """

    receipt: str
    means: str
    amount: int
    payment_id: NotRequired[int]
    family_id: NotRequired[int | None]
    credit_use_id: NotRequired[int]
    remittance_id: NotRequired[int]


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

    def enter(self, kind: EntryKind, **movement: Unpack[Movement]) -> str:
        """Add an entry; tells its hash."""
        return self.enter_all([(kind, movement)])

    def enter_all(self, entries: Sequence[tuple[EntryKind, Movement]]) -> str:
        """Add entries, one after the other; tells the hash of the last."""
        # Asked only now: an entry must not fall into a month that was closed while it waited.
        now = self._clock.now()
        found = read(
            self._session,
            _last_entry_and_families(),
            {
                "tenant": self._tenant,
                "families": list({moved.get("family_id") for _kind, moved in entries} - {None}),
                "regie": self._regie,
                "year": today(now).year,
            },
        ).all()
        codes = {row.family: row.code for row in found}
        last = found[0]
        at = max(now, last.at) if last.at else now
        digest, rows = last.hash or "", []
        for number, (kind, moved) in enumerate(entries, (last.number or 0) + 1):
            facts = Facts(
                regie=self._regie,
                year=today(at).year,
                number=number,
                at=at,
                kind=kind,
                receipt=moved["receipt"],
                means=moved["means"],
                amount=moved["amount"],
                family_code=codes.get(moved.get("family_id")) or "",
                actor=self._audit.actor,
            )
            digest = facts.hash(digest)
            rows.append(
                {
                    "tenant_id": self._tenant,
                    "payment_id": moved.get("payment_id"),
                    "credit_use_id": moved.get("credit_use_id"),
                    "remittance_id": moved.get("remittance_id"),
                    "hash": digest,
                    **{name: getattr(facts, name) for name in Facts.__slots__},
                }
            )
        # Asked for what it wrote, SQLAlchemy writes all in one statement.
        change(
            self._session,
            insert(JournalEntry).returning(JournalEntry.number),
            rows if len(rows) > 1 else rows[0],
        )
        return digest


@cache
def _last_entry_and_families() -> Select[*tuple[Any, ...]]:
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
    of_entries = and_(
        Family.tenant_id == tenant,
        Family.id == any_(bindparam("families", type_=ARRAY(BigInteger))),
    )
    one = select(literal(1)).subquery()
    return select(
        Family.id.label("family"), Family.code, last.c.number, last.c.at, last.c.hash
    ).select_from(one.outerjoin(last, true()).outerjoin(Family, of_entries))
