"""Telling families of a publication, in steps: the import's own transaction stays short."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from operator import attrgetter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.api.payments import InvoicesPublished
from core.invoices.models import Invoice, InvoiceState
from core.invoices.papers import PapersAhead
from core.platform.outbox.service import Outbox
from core.platform.plugins.events import Events

FANOUT = "publish.fanout"
FAMILIES_AT_FIRST = 200
"""Families of a publication whose messages are prepared before all others are looked for."""
FAMILIES_PER_FANOUT = 10_000
"""Families of one row thereafter: some seconds of work."""
EVENTS_PER_STATEMENT = 1000
"""Events that are written in one statement."""


class Fanout:
    """Publications of one town, told family by family."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        *,
        events: Events,
        outbox: Outbox,
        papers_ahead: PapersAhead | None,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._events = events
        self._outbox = outbox
        self._papers_ahead = papers_ahead

    def tell(self, batch_id: int, after: int = 0) -> None:
        """Write one event for each family of a batch whose id comes after `after`, up to a limit.

        Few families first, so that the first mails leave while the others are found. The rest is
        for another row.
        """
        limit = FAMILIES_PER_FANOUT if after else FAMILIES_AT_FIRST
        shown = (
            Invoice.tenant_id == self._tenant,
            Invoice.batch_id == batch_id,
            Invoice.state == InvoiceState.PUBLISHED,
            Invoice.family_id > after,
        )
        families = (
            select(Invoice.family_id)
            .where(*shown)
            .distinct()
            .order_by(Invoice.family_id)
            .limit(limit)
        ).subquery()
        last = select(func.max(families.c.family_id)).scalar_subquery()
        rows = self._session.execute(
            select(Invoice.family_id, Invoice.id)
            .where(*shown, Invoice.family_id <= last)
            .order_by(Invoice.family_id, Invoice.id)
        )
        published = []
        for family_id, found in groupby(rows, key=attrgetter("family_id")):
            event = InvoicesPublished(
                id=f"published-{batch_id}-{family_id}",
                family_id=family_id,
                invoice_ids=tuple(row.id for row in found),
            )
            published.append((event.id, asdict(event)))
            after = family_id
        for start in range(0, len(published), EVENTS_PER_STATEMENT):
            self._events.emit_many(
                "invoices_published", published[start : start + EVENTS_PER_STATEMENT]
            )
        if len(published) == limit:
            payload = {"batch_id": batch_id, "after": after}
            self._outbox.add(FANOUT, payload, key=f"{batch_id}/{after}")
        elif self._papers_ahead:
            self._papers_ahead.ask(batch_id)
