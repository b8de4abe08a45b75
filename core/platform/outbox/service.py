"""The outbox: asking for effects, claiming them, and finishing them once."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Float,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from core.api.context import Clock
from core.api.errors import RetryableError
from core.platform.db.session import change
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.tenancy.models import Tenant, TownState

CHANNEL = "preau_outbox"
"""The NOTIFY channel that wakes the relay. A notification leaves with the commit, never before."""

PUBLISH_LEASE = timedelta(seconds=60)
"""Time that a published row waits for a worker before it is published again."""

LEASE = timedelta(seconds=60)
"""Time for which a worker has a row without a `Outbox.heartbeat`; then another takes it."""

KEEP_DONE = timedelta(days=30)
"""Time that a row which is done is kept, and is the answer to whoever asks for the same effect."""

MAX_PAUSE = timedelta(days=30)
"""Maximum time that a row waits for its next try, whoever asks for more."""
REASON_CHARACTERS = 2000
"""Maximum length of what a row keeps of an error."""

_ROW_ONLY = {"synchronize_session": False}
"""Nobody holds rows of the outbox as objects: a worker need not look for them, at every row."""


class NotOverError(RetryableError):
    """The work went well and is not over: its row comes back `after`, without counting a try."""


class LostClaimError(Exception):
    """Another worker finished the row, or took it over after the lease: roll back."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this worker may work on; `attempt` fences it against slower workers."""

    id: uuid.UUID
    topic: str
    payload: dict[str, Any]
    attempt: int


class Outbox:
    """The outbox of one town, in one unit of work."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def add(
        self,
        topic: str,
        payload: dict[str, Any],
        *,
        key: str,
        after: datetime | None = None,
        bulk: bool = False,
    ) -> None:
        """Ask for an effect after the commit, not before `after`.

        The same topic and key again is the same effect: one row, whatever its state. What is
        `bulk` lets all other effects pass: one of very many that nobody waits for in front of a
        screen.
        """
        self.add_many([(topic, payload, key)], after=after, bulk=bulk)

    def add_many(
        self,
        effects: Sequence[tuple[str, dict[str, Any], str]],
        *,
        after: datetime | None = None,
        bulk: bool = False,
    ) -> None:
        """`add` for several effects (topic, payload, key), in one statement."""
        if not effects:
            return
        available_at = after or self._clock.now()
        rows = [
            {
                "tenant_id": self._tenant,
                "id": uuid.uuid4(),
                "topic": topic,
                "dedupe_key": key,
                "payload": payload,
                "available_at": available_at,
                "bulk": bulk,
            }
            for topic, payload, key in effects
        ]
        # Rows and call in one statement. PostgreSQL folds the calls of a transaction into one.
        change(self._session, _asking(), rows if len(rows) > 1 else rows[0])

    def bring_forward(self, topic: str, keys: Select[Any], within: timedelta) -> None:
        """Let the rows of `keys` whose last try failed come back now, spread over `within`."""
        now = self._clock.now()
        seconds = bindparam("seconds", within.total_seconds(), type_=Float()) * func.random()
        soon = bindparam("now", now, type_=DateTime(timezone=True)) + seconds * text(
            "INTERVAL '1 second'"
        )
        self._session.execute(
            update(OutboxRow)
            .where(
                OutboxRow.tenant_id == self._tenant,
                OutboxRow.topic == topic,
                OutboxRow.state == OutboxState.READY,
                OutboxRow.bulk.is_(False),
                OutboxRow.available_at > now + within,
                OutboxRow.last_error != "",
                OutboxRow.dedupe_key.in_(keys),
            )
            .values(available_at=soon)
            .execution_options(**_ROW_ONLY)
        )

    def claim(self, row_id: uuid.UUID) -> Claim | None:
        """Take a due row, for `LEASE` unless it is kept; None when another has it or it is over."""
        now = self._clock.now()
        values = {"tenant": self._tenant, "row": row_id, "now": now, "until": now + LEASE}
        row = change(self._session, _claiming(), values).one_or_none()
        return Claim(row_id, row.topic, row.payload, row.attempts) if row else None

    def take_along(self, topic: str, limit: int) -> list[dict[str, Any]]:
        """End up to `limit` due rows of `topic` that nobody tried yet; returns their payloads.

        Rows that are published count as well: the message of one that is over finds nothing to do.
        """
        now = self._clock.now()
        values = {"tenant": self._tenant, "of": topic, "now": now, "limit": limit}
        taken = change(self._session, _taking_along(), values).all()
        return [row.payload for row in sorted(taken, key=lambda row: row.available_at)]

    def heartbeat(self, claim: Claim) -> bool:
        """Hold a claimed row for `LEASE` from now; False when it is over, or another's."""
        return self._change(claim, until=self._clock.now() + LEASE)

    def finish(self, claim: Claim) -> None:
        """Mark the claimed row done, in the transaction of its effect.

        Raises:
            LostClaimError: when the lease ran out and another worker took the row.
        """
        self._end(claim, state=OutboxState.DONE, last_error="")

    def retry_later(self, claim: Claim, reason: str, after: timedelta | None) -> None:
        """Give the row back, to be taken again later."""
        self._end(
            claim,
            state=OutboxState.READY,
            available_at=self._clock.now() + _pause(after, claim.attempt),
            last_error=_quotable(reason),
        )

    def come_back(self, claim: Claim, after: timedelta | None) -> None:
        """Give the row back after a try that went well."""
        self.give_back(claim, "", after)

    def give_back(self, claim: Claim, reason: str, after: timedelta | None) -> None:
        """Give the row back: this claim does not count as an attempt."""
        self._end(
            claim,
            state=OutboxState.READY,
            available_at=self._clock.now() + _pause(after, 1),
            last_error=_quotable(reason),
            untried=1,
        )

    def mark_dead(self, claim: Claim, reason: str) -> None:
        """Give up: the row is dead until a person retries it."""
        self._end(claim, state=OutboxState.DEAD, last_error=_quotable(reason))

    def _end(
        self,
        claim: Claim,
        state: OutboxState,
        last_error: str,
        available_at: datetime | None = None,
        untried: int = 0,
    ) -> None:
        if not self._change(
            claim,
            state=state,
            last_error=last_error,
            available_at=available_at,
            untried=untried,
        ):
            raise LostClaimError(str(claim.id))

    def _change(self, claim: Claim, **values: Any) -> bool:
        """Change a row for as long as it is this claim's; whether it was."""
        unchanged = dict.fromkeys(("until", "state", "last_error", "available_at"))
        changed = change(
            self._session,
            _changing(),
            unchanged
            | {"untried": 0, "tenant": self._tenant, "row": claim.id, "attempt": claim.attempt}
            | values,
        ).one_or_none()
        return changed is not None


# Put together once: each row that passes needs all of them.


def asking(
    source: FromClause, payload: Mapping[str, ColumnElement[Any]], key: ColumnElement[str]
) -> ReturningInsert[Any]:
    """SQL: `Outbox.add` for each row of `source`, as a part of a statement.

    The statement is told `tenant`, `topic` and `after`.
    """
    row = OutboxRow.__table__.c
    values: dict[ColumnElement[Any], ColumnElement[Any]] = {
        row.tenant_id: bindparam("tenant", type_=row.tenant_id.type),
        row.id: func.gen_random_uuid(),
        row.topic: bindparam("topic", type_=row.topic.type),
        row.dedupe_key: key,
        row.payload: func.jsonb_build_object(*chain(*payload.items())),
        row.available_at: bindparam("after", type_=row.available_at.type),
    }
    rows = select(*values.values()).select_from(source)
    # PostgreSQL's defaults: SQLAlchemy fills in none of a statement within another.
    return _asking().from_select(list(values), rows, include_defaults=False)


@cache
def _asking() -> ReturningInsert[Any]:
    return (
        insert(OutboxRow.metadata.tables[OutboxRow.__tablename__])
        .on_conflict_do_nothing(index_elements=["tenant_id", "topic", "dedupe_key"])
        .returning(func.pg_notify(CHANNEL, ""))
    )


@cache
def _claiming() -> ReturningUpdate[Any]:
    now = bindparam("now", type_=DateTime(timezone=True))
    return (
        update(OutboxRow)
        .where(
            OutboxRow.tenant_id == bindparam("tenant"),
            OutboxRow.id == bindparam("row"),
            OutboxRow.available_at <= now,
            exists().where(Tenant.id == bindparam("tenant"), Tenant.state == TownState.OPEN),
            or_(
                OutboxRow.state == OutboxState.READY,
                and_(OutboxRow.state == OutboxState.RUNNING, OutboxRow.lease_until <= now),
            ),
        )
        .values(
            state=OutboxState.RUNNING,
            lease_until=bindparam("until"),
            attempts=OutboxRow.attempts + 1,
        )
        .returning(
            OutboxRow.topic,
            OutboxRow.payload,
            OutboxRow.attempts,
            # Nobody waits for the disk: a claim that a crash of PostgreSQL forgets, with all that
            # was connected, is a row that is ready again.
            func.set_config("synchronous_commit", "off", True),
        )
    )


@cache
def _taking_along() -> ReturningUpdate[dict[str, Any], datetime]:
    others = (
        select(OutboxRow.id)
        .where(
            OutboxRow.tenant_id == bindparam("tenant"),
            OutboxRow.topic == bindparam("of"),
            OutboxRow.state == OutboxState.READY,
            # Found by the index of what is due; what is over may be very much.
            OutboxRow.bulk.is_(False),
            OutboxRow.available_at <= bindparam("now", type_=DateTime(timezone=True)),
            OutboxRow.attempts == 0,
        )
        .order_by(OutboxRow.available_at)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("others")
    )
    return (
        update(OutboxRow)
        .where(OutboxRow.tenant_id == bindparam("tenant"), OutboxRow.id == others.c.id)
        .values(state=OutboxState.DONE)
        .returning(OutboxRow.payload, OutboxRow.available_at)
    )


@cache
def _changing() -> ReturningUpdate[Any]:
    return (
        update(OutboxRow)
        .where(
            OutboxRow.tenant_id == bindparam("tenant"),
            OutboxRow.id == bindparam("row"),
            OutboxRow.state == OutboxState.RUNNING,
            OutboxRow.attempts == bindparam("attempt"),
        )
        .values(
            lease_until=bindparam("until"),
            state=func.coalesce(bindparam("state", type_=String()), OutboxRow.state),
            last_error=func.coalesce(bindparam("last_error", type_=String()), OutboxRow.last_error),
            available_at=func.coalesce(
                bindparam("available_at", type_=DateTime(timezone=True)), OutboxRow.available_at
            ),
            attempts=OutboxRow.attempts - bindparam("untried", type_=Integer()),
        )
        .returning(OutboxRow.id)
    )


def _pause(after: object, attempt: int) -> timedelta:
    """The time until the next try: as who failed says, if that is one."""
    if not isinstance(after, timedelta):
        return back_off(attempt)
    return min(max(after, timedelta(0)), MAX_PAUSE)


def _quotable(reason: object) -> str:
    """A failure's words, as a row can keep them: plugins, and servers, say what they like."""
    words = str.__str__(reason) if isinstance(reason, str) else type(reason).__name__
    kept = words[:REASON_CHARACTERS].replace("\0", "")
    return kept.encode("utf-8", "replace").decode()


def back_off(attempt: int) -> timedelta:
    """5 s, 10 s, 20 s... up to half an hour, spread so that a herd does not come back as one."""
    seconds = min(5 * 2 ** (attempt - 1), 1800)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """State of the outbox of all towns at a moment."""

    rows: dict[str, int]
    """By state, those that are done apart."""
    late: timedelta
    """Time that the oldest due row has waited to be begun."""
    watched: int
    """Rows of the topic that was asked about, still open."""
    watched_for: timedelta
    """Age of the oldest of them."""


def stats(session: Session, now: datetime, watched_topic: str) -> OutboxStats:
    """Look at the outbox of all towns (the relay's role only)."""
    open_states = (OutboxState.READY, OutboxState.RUNNING)
    rows = dict.fromkeys((*open_states, OutboxState.DEAD), 0) | {
        row.state: row.number
        for row in session.execute(
            select(OutboxRow.state, func.count().label("number"))
            .where(OutboxRow.state.in_((*open_states, OutboxState.DEAD)))
            .group_by(OutboxRow.state)
        )
    }
    oldest = session.scalar(
        select(func.min(OutboxRow.available_at)).where(
            OutboxRow.state == OutboxState.READY, OutboxRow.available_at <= now
        )
    )
    watched, since = session.execute(
        select(func.count(), func.min(OutboxRow.created_at)).where(
            OutboxRow.state.in_(open_states), OutboxRow.topic == watched_topic
        )
    ).one()
    return OutboxStats(
        {str(state): number for state, number in rows.items()},
        now - (oldest or now),
        watched,
        now - (since or now),
    )


def take_due(
    session: Session, now: datetime, limit: int, *, bulk: bool
) -> list[tuple[str, uuid.UUID]]:
    """Lease up to `limit` due rows of all towns for publication (the relay's role only).

    Either those that are `bulk`, or all others.
    """
    due = (
        select(OutboxRow.tenant_id, OutboxRow.id)
        .where(
            OutboxRow.state.in_((OutboxState.READY, OutboxState.RUNNING)),
            OutboxRow.bulk.is_(bulk),
            OutboxRow.available_at <= now,
            # A town that closes, or has moved away, keeps its rows for where it opens again.
            OutboxRow.tenant_id.not_in(select(Tenant.id).where(Tenant.state != TownState.OPEN)),
            func.coalesce(OutboxRow.lease_until, now) <= now,
        )
        .order_by(OutboxRow.available_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    rows = session.execute(
        update(OutboxRow)
        .where(OutboxRow.tenant_id == due.c.tenant_id, OutboxRow.id == due.c.id)
        # A row whose worker outlived its lease is anyone's again; that worker can no longer end it.
        .values(state=OutboxState.READY, lease_until=now + PUBLISH_LEASE)
        .returning(OutboxRow.tenant_id, OutboxRow.id)
    )
    return [(row.tenant_id, row.id) for row in rows]
