"""Papers of invoices that are kept: made ahead in idle time, and given while they are true.

A kept paper goes with the fingerprint of all that it says. Whoever asks compares it with what the
invoice says now, so that nothing has to be told when an invoice, a family or a town's file changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import structlog
from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.messages import Document as FinishedDocument
from core.invoices.models import Invoice, InvoicePaper, InvoiceState
from core.platform.documents.presses import Press, PressError
from core.platform.documents.render import fingerprint, invoice, render_invoice
from core.platform.documents.sheets import InvoiceSheet
from core.platform.outbox.service import NotOverError, Outbox

log = structlog.get_logger(__name__)

AHEAD = "invoices.papers"
"""Topic of the rows that make papers ahead."""
AHEAD_BATCH_SIZE = 25
"""Papers of one row: some seconds of work at the lowest priority."""
BUSY_PAUSE = timedelta(minutes=1)
SPARE_LOAD = 0.7
"""Processes that want to run, for each core, above which a machine has nothing to spare."""
PAPER_LIFE = timedelta(days=60)
"""Time that a paper is kept: until its invoice is paid, mostly."""


def is_busy() -> bool:
    """Tell a machine that has other things to do than what nobody asked for yet."""
    return os.getloadavg()[0] > SPARE_LOAD * (os.cpu_count() or 1)


@cache
def _kept() -> Select[str, bytes]:
    return select(InvoicePaper.name, InvoicePaper.content).where(
        InvoicePaper.tenant_id == bindparam("tenant"),
        InvoicePaper.invoice_id == bindparam("invoice"),
        InvoicePaper.fingerprint == bindparam("fingerprint"),
    )


class InvoicePapers:
    """The kept papers of one town's invoices."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def give(self, invoice_id: int, sheet: InvoiceSheet, *, keep: bool = False) -> FinishedDocument:
        """The paper that says `sheet`: a kept one, or a new one, which may be kept."""
        mark = fingerprint(sheet)
        values = {"tenant": self._tenant, "invoice": invoice_id, "fingerprint": mark}
        if found := self._session.execute(_kept(), values).one_or_none():
            return FinishedDocument(found.name, "application/pdf", found.content)
        made = render_invoice(sheet)
        if keep:
            self.keep({invoice_id: (mark, made)})
        return made

    def keep(self, papers: Mapping[int, tuple[str, FinishedDocument]]) -> None:
        """Keep papers with their fingerprints, by invoice, in place of earlier ones."""
        rows = [
            {
                "tenant_id": self._tenant, "invoice_id": number, "fingerprint": mark,
                "name": paper.name, "content": paper.content, "made_at": self._clock.now(),
            }
            # In the order in which whoever pays locks the invoices.
            for number, (mark, paper) in sorted(papers.items())
        ]  # fmt: skip
        if not rows:
            return
        new = insert(InvoicePaper).values(rows)
        fresh = {name: new.excluded[name] for name in ("fingerprint", "name", "content", "made_at")}
        self._session.execute(
            new.on_conflict_do_update(index_elements=("tenant_id", "invoice_id"), set_=fresh)
        )

    def have(self, marks: Mapping[int, str]) -> set[int]:
        """Those invoices of `marks` whose kept paper has the fingerprint given."""
        rows = self._session.execute(
            select(InvoicePaper.invoice_id, InvoicePaper.fingerprint).where(
                InvoicePaper.tenant_id == self._tenant, InvoicePaper.invoice_id.in_(marks)
            )
        )
        return {row.invoice_id for row in rows if row.fingerprint == marks[row.invoice_id]}

    def forget_old(self) -> None:
        """Delete papers that were made long ago: whoever asks gets a new one."""
        self._session.execute(
            delete(InvoicePaper).where(
                InvoicePaper.tenant_id == self._tenant,
                InvoicePaper.made_at < self._clock.now() - PAPER_LIFE,
            )
        )


class PapersAhead:
    """Makes the papers of a publication before families ask, at the lowest priority."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        *,
        papers: InvoicePapers,
        sheet: Callable[[int], InvoiceSheet | None],
        outbox: Outbox,
    ) -> None:
        """`sheet` gives what an invoice says; None for one that its source printed."""
        self._session = session
        self._tenant = tenant
        self._papers = papers
        self._sheet = sheet
        self._outbox = outbox

    def ask(self, batch_id: int, after: int = 0) -> None:
        """Ask for the papers of an import's invoices beyond the number `after`."""
        payload = {"batch_id": batch_id, "after": after}
        self._outbox.add(AHEAD, payload, key=f"{batch_id}/{after}", bulk=True)

    def make(self, payload: Mapping[str, Any]) -> None:
        """Make some of an import's papers, and ask for the next.

        Raises:
            NotOverError: the machine has other things to do.
        """
        if is_busy():
            raise NotOverError("the machine is busy", BUSY_PAUSE)
        batch_id, after = int(payload["batch_id"]), int(payload["after"])
        ids = self._session.scalars(
            select(Invoice.id)
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.batch_id == batch_id,
                Invoice.id > after,
                Invoice.state == InvoiceState.PUBLISHED,
            )
            .order_by(Invoice.id)
            .limit(AHEAD_BATCH_SIZE)
        ).all()
        sheets = {number: sheet for number in ids if (sheet := self._sheet(number))}
        marks = {number: fingerprint(sheet) for number, sheet in sheets.items()}
        wanted = sheets.keys() - self._papers.have(marks)
        self._session.commit()  # Nothing is held while papers are set.
        made = {}
        with Press(niceness=19) as press:
            for number in sorted(wanted):
                paper = invoice(sheets[number])
                try:
                    content = press.set(paper)
                except PressError:
                    # It will be set when somebody asks, and its fault told there.
                    log.exception("papers.not_made", invoice=number)
                    continue
                finished = FinishedDocument(f"{paper.name}.pdf", "application/pdf", content)
                made[number] = (marks[number], finished)
        # What changed meanwhile, a family that was erased above all, leaves no paper of before.
        self._papers.keep(
            {
                number: paper
                for number, paper in made.items()
                if (sheet := self._sheet(number)) and fingerprint(sheet) == paper[0]
            }
        )
        if ids:
            self.ask(batch_id, ids[-1])
