"""Files of banks about direct debits: what each line means here, and doing it.

A file is read and not kept; nothing of an account goes further than the reader. What is done is
decided anew, invoice by invoice, once the invoices are locked: a second file that comes at the same
moment, or the same one again, then finds it done.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, defer

from core.api.context import Clock
from core.api.errors import UserError
from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.debits.models import DebitJob, DebitRejection
from core.debits.service import MAX_AT_ONCE, Debits, is_debit_of
from core.domain.bank_accounts import without_accounts
from core.domain.debit_decisions import (
    CLEAR,
    REJECTING,
    SETTLING,
    Finding,
    Noted,
    Standing,
    after,
    decide,
)
from core.domain.debit_files.report import DebitLine, DebitReport, RemittanceSum, Told
from core.domain.figures import Sum
from core.families.models import Family
from core.invoices.locks import balance_due
from core.invoices.models import Invoice
from core.invoices.service import debit_day, is_shown
from core.journal.service import Journal
from core.payments.ledger import Ledger
from core.payments.models import Allocation, Payment, PaymentItem, is_held, items_with_payments
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.outbox.service import Outbox

APPLY: Final = "debits.apply"
"""Topic of a part of a large file that is to be done."""
SHOWN_JOBS: Final = 5
LOCK_ATTEMPTS: Final = 10
SINCE: Final = timedelta(days=400)
"""Time for which an invoice may be debited under another spelling of its number."""
SHORTEST_INSIDE: Final = 5
"""Signs of a number that is looked for inside longer references."""
REMITTED_WITHIN: Final = timedelta(days=5)
"""Days after a run's own within which its sum arrives: a week-end, and a holiday."""
_NOT_SIGN = re.compile(r"[^A-Z0-9]")
_TOKEN = re.compile(r"[A-Z0-9][A-Z0-9/._-]*[A-Z0-9]")


@dataclass(frozen=True, slots=True)
class Planned:
    """A line of a file, what it means, and the invoice that it is about."""

    line: DebitLine
    finding: Finding
    day: date | None = None
    invoice_id: int | None = None
    number: str = ""
    label: str = ""
    family: str = ""
    left: int = 0
    """Cents that were left of the invoice."""
    is_sure: bool = True
    """The file names the invoice itself, not in the midst of other words."""

    @property
    def may_act(self) -> bool:
        """True if something can be noted."""
        return self.finding in SETTLING | REJECTING

    @property
    def amount(self) -> int:
        """Cents that are to be noted: what the file says, else what is left."""
        return self.left if self.line.cents is None else self.line.cents

    @property
    def is_clear(self) -> bool:
        """True if it is proposed."""
        return _is_clear(self.finding, self.line.cents, self.left, is_sure=self.is_sure)

    @property
    def reference(self) -> str:
        """The name in the file, for who looks for the line there. No account's number."""
        return without_accounts(self.line.references[0]) if self.line.references else ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line that an agent accepted, with what was found of it then."""

    invoice_id: int
    told: Told
    cents: int | None
    day: date
    code: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Applied:
    """Debits that a file noted, those that it took back, and number of those `left_out`."""

    settled: Sum
    rejected: Sum
    left_out: int


@dataclass(frozen=True, slots=True)
class Remitted:
    """A sum that a bank credited for many debits at once, and the run that it is, if one fits."""

    sum: RemittanceSum
    day: date | None


class DebitFiles:
    """The files of one town's banks."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        debits: Debits,
        ledger: Ledger,
        journal: Journal,
        outbox: Outbox,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._debits = debits
        self._ledger = ledger
        self._journal = journal
        self._outbox = outbox
        self._audit = audit

    # --- Reading -----------------------------------------------------------------------------

    def plan(self, regie: str, report: DebitReport, default_day: date) -> list[Planned]:
        """Plan the change of each line of a file, one after the other; nothing is changed.

        `default_day` is that of lines that have none.
        """
        book = _Book(self._names(regie, report.lines))
        found = [(line, book.find(line)) for line in report.lines]
        ids = {one for _line, match in found for one in match.ids}
        standings = self._standings(ids)
        rows = self._rows(ids)
        day = today(self._clock.now())
        planned: dict[int, Planned] = {}
        # As it happened: a debit is taken, then comes back.
        for line, match in sorted(
            found,
            key=lambda one: (one[0].on or default_day, one[0].told is Told.REJECTED, one[0].rank),
        ):
            on = line.on or default_day
            invoice_id = _only(line, match.ids, standings)
            if invoice_id is None:
                finding = Finding.AMBIGUOUS if match.ids else Finding.UNKNOWN
                planned[line.rank] = Planned(line, finding, on)
                continue
            standing = standings[invoice_id].standing
            finding = decide(line.told, line.cents, on, standing, day)
            if _is_clear(finding, line.cents, standing.left, is_sure=match.is_sure):
                standings[invoice_id] = replace(
                    standings[invoice_id], standing=after(finding, line.cents, on, standing)
                )
            row = rows[invoice_id]
            planned[line.rank] = Planned(
                line, finding, on, invoice_id, row.number, row.label, row.name or row.code,
                standing.left, match.is_sure,
            )  # fmt: skip
        return [planned[line.rank] for line in report.lines]

    def remitted(self, regie: str, report: DebitReport) -> list[Remitted]:
        """The sums of whole remittances, each with the day whose waiting debits are exactly it."""
        runs = [run for run in self._debits.runs() if run.regie == regie and run.waiting.count]
        found = []
        for one in report.sums:
            days = [
                run.day
                for run in runs
                if run.waiting.cents == one.cents
                and one.count in {None, run.waiting.count}
                and run.day <= one.on <= run.day + REMITTED_WITHIN
            ]
            found.append(Remitted(one, days[0] if len(days) == 1 else None))
        return found

    # --- Doing -------------------------------------------------------------------------------

    def accept(
        self, regie: str, kind: str, accepted: Sequence[Accepted]
    ) -> Applied | DebitJob:
        """Do what was accepted; a large file is done by a worker, and its job says how far it is.

        Raises:
            UserError: the trésorerie collects this régie.
        """
        self._debits.check(regie)
        lines = _in_order(accepted)
        if len(lines) <= MAX_AT_ONCE:
            return self.apply(regie, kind, lines)
        job = DebitJob(
            tenant_id=self._tenant,
            regie=regie,
            kind=kind,
            actor=self._audit.actor,
            created_at=self._clock.now(),
            lines={"lines": [_kept(line) for line in lines]},
            total=len(lines),
        )
        self._session.add(job)
        self._session.flush()
        self._ask(job, 0)
        return job

    def go_on(self, job_id: int, start: int) -> None:
        """Do the part of a job that begins at a line, and ask for the next one: once each.

        All of it is one transaction, with the end of the row of the outbox that asked for it: a
        worker that is killed leaves nothing of its part, and another one does it.
        """
        job = self._session.scalar(
            select(DebitJob)
            .where(
                DebitJob.tenant_id == self._tenant,
                DebitJob.id == job_id,
                DebitJob.done == start,
                DebitJob.ended_at.is_(None),
            )
            .with_for_update()
        )
        if job is None:  # Another worker did this part.
            return
        part = job.lines["lines"][start : start + MAX_AT_ONCE]
        try:
            done = self.apply(job.regie, job.kind, [_accepted(line) for line in part])
        except UserError as error:
            job.refusal, job.ended_at, job.lines = error.message, self._clock.now(), {}
            return
        job.done += len(part)
        job.settled += done.settled.count
        job.settled_cents += done.settled.cents
        job.rejected += done.rejected.count
        job.rejected_cents += done.rejected.cents
        job.left_out += done.left_out
        if job.done < job.total:
            self._ask(job, job.done)
        else:
            job.ended_at, job.lines = self._clock.now(), {}

    def job(self, job_id: int) -> DebitJob:
        """One job. Raises `NotFoundError` when there is none."""
        found = self._session.scalar(
            select(DebitJob)
            .where(DebitJob.tenant_id == self._tenant, DebitJob.id == job_id)
            .options(defer(DebitJob.lines))
        )
        if found is None:
            raise NotFoundError
        return found

    def jobs(self) -> Sequence[DebitJob]:
        """The latest large files, the newest first."""
        return self._session.scalars(
            select(DebitJob)
            .where(DebitJob.tenant_id == self._tenant)
            .options(defer(DebitJob.lines))
            .order_by(DebitJob.id.desc())
            .limit(SHOWN_JOBS)
        ).all()

    def _ask(self, job: DebitJob, start: int) -> None:
        payload = {"job_id": job.id, "start": start, "actor": job.actor, "regie": job.regie}
        self._outbox.add(APPLY, payload, key=f"{job.id}/{start}")

    def apply(self, regie: str, kind: str, accepted: Sequence[Accepted]) -> Applied:
        """Do some lines, in the order of their days; what no longer fits is left out.

        All that they change is locked first, as docs/locks.md has it.

        Raises:
            UserError: the trésorerie collects this régie.
        """
        self._debits.check(regie)
        lines = _in_order(accepted)
        invoices = self._lock({one.invoice_id for one in lines})
        self._journal.open(regie)
        names = self._debits.names({invoice.family_id for invoice in invoices.values()})
        settled: list[int] = []
        rejected: list[int] = []
        for one in lines:
            invoice = invoices.get(one.invoice_id)
            if invoice is None or invoice.regie != regie:
                continue
            self._session.refresh(invoice)
            try:
                with self._session.begin_nested():
                    cents = self._do(invoice, one, names[invoice.family_id])
            except UserError:  # A line that cannot be done keeps no other one off.
                continue
            if cents is not None:
                (settled if one.told is Told.SETTLED else rejected).append(cents)
        done = Applied(
            Sum(len(settled), sum(settled)),
            Sum(len(rejected), sum(rejected)),
            len(lines) - len(settled) - len(rejected),
        )
        if settled or rejected:
            self._audit.write(
                "debits.file",
                f"regie:{regie}",
                kind=kind,
                count=done.settled.count,
                amount=done.settled.cents,
                rejected=done.rejected.count,
                rejected_amount=done.rejected.cents,
            )
        return done

    def _lock(self, invoice_ids: Collection[int]) -> dict[int, Invoice]:
        """Lock invoices, then the debits that are noted of them, then what those left over.

        Another file may note a debit between the look and the lock. Its payment may have paid more
        invoices, which come before those that are locked: all are let go and locked anew.
        """
        for _attempt in range(LOCK_ATTEMPTS):
            seen = self._noted_ids(invoice_ids)
            nested = self._session.begin_nested()
            invoices = self._debits.lock(list(invoice_ids), seen)
            if set(self._noted_ids(invoice_ids)) <= set(seen):
                nested.commit()
                self._ledger.lock_payments(seen)
                return invoices
            nested.rollback()  # Nothing is written yet: it lets go of the locks alone.
        raise UserError(_("Ces factures changent en ce moment : réessayez dans un instant."))

    def _noted_ids(self, invoice_ids: Collection[int]) -> list[int]:
        return [row.id for row in self._noted(list(invoice_ids)).values()]

    def _do(self, invoice: Invoice, one: Accepted, payer: str) -> int | None:
        """Do one line; the cents of it, or None if it does not fit what stands now."""
        known = self._standings([invoice.id])[invoice.id]
        day = today(self._clock.now())
        finding = decide(one.told, one.cents, one.day, known.standing, day)
        if finding != one.finding and finding not in CLEAR:
            return None
        if finding in SETTLING:
            cents = known.standing.left if one.cents is None else one.cents
            return cents if self._debits.take(invoice, cents, one.day, payer=payer) else None
        if finding in REJECTING:
            amount = known.standing.noted.cents if known.standing.noted else known.standing.left
            done = self._debits.send_back(
                invoice, one.code, one.day, payment_id=known.payment_id
            )
            return amount if done else None
        return None

    # --- What is known -----------------------------------------------------------------------

    def _standings(self, invoice_ids: Iterable[int]) -> dict[int, _Known]:
        ids = list(invoice_ids)
        rejected = (
            select(func.max(DebitRejection.rejected_on))
            .where(
                DebitRejection.tenant_id == Invoice.tenant_id,
                DebitRejection.invoice_id == Invoice.id,
            )
            .correlate(Invoice)
            .scalar_subquery()
        )
        rows = self._session.execute(
            select(
                Invoice.id,
                Invoice.state,
                Invoice.kind,
                Invoice.direct_debit,
                Invoice.issued_on,
                Invoice.left.label("left"),
                debit_day().label("debit_day"),
                is_held(self._tenant, Invoice.id).label("is_held"),
                rejected.label("rejected_on"),
            ).where(Invoice.tenant_id == self._tenant, Invoice.id.in_(ids))
        ).all()
        payments = self._noted(ids)
        found = {}
        for row in rows:
            payment = payments.get(row.id)
            noted = None
            if payment is not None:
                noted = Noted(
                    payment.amount, payment.paid_at.astimezone(PARIS).date(), payment.used or 0
                )
            is_bill = row.kind == InvoiceKind.INVOICE
            standing = Standing(
                left=balance_due(row.state, row.left) if is_bill else 0,
                direct_debit=row.direct_debit and is_bill,
                issued_on=row.issued_on,
                debit_day=row.debit_day,
                is_held=row.is_held,
                noted=noted,
                rejected_on=row.rejected_on,
            )
            found[row.id] = _Known(standing, payment.id if payment else None)
        return found

    def _noted(self, invoice_ids: Sequence[int]) -> Mapping[int, Any]:
        """The debit of each invoice that is noted and in force."""
        rows = self._session.execute(
            select(
                PaymentItem.invoice_id,
                Payment.id,
                Payment.amount,
                Payment.paid_at,
                Allocation.amount.label("used"),
            )
            .join(Payment, items_with_payments())
            .outerjoin(
                Allocation,
                and_(
                    Allocation.tenant_id == PaymentItem.tenant_id,
                    Allocation.payment_id == PaymentItem.payment_id,
                    Allocation.invoice_id == PaymentItem.invoice_id,
                    Allocation.credit_use_id.is_(None),
                    Allocation.reversed_at.is_(None),
                ),
            )
            .where(
                PaymentItem.tenant_id == self._tenant,
                PaymentItem.invoice_id.in_(invoice_ids),
                is_debit_of(PaymentItem.invoice_id),
            )
            .order_by(Payment.id)
        )
        return {row.invoice_id: row for row in rows}

    def _rows(self, invoice_ids: Iterable[int]) -> Mapping[int, Any]:
        rows = self._session.execute(
            select(Invoice.id, Invoice.number, Invoice.label, Family.name, Family.code)
            .join(
                Family, and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id)
            )
            .where(Invoice.tenant_id == self._tenant, Invoice.id.in_(list(invoice_ids)))
        )
        return {row.id: row for row in rows}

    def _names(self, regie: str, lines: Sequence[DebitLine]) -> Sequence[Any]:
        """Invoices that lines may be about: those so named, and all that are or were debited."""
        named = {name for line in lines for name in _spellings(line)}
        debited = exists().where(
            items_with_payments(),
            PaymentItem.tenant_id == Invoice.tenant_id,
            PaymentItem.invoice_id == Invoice.id,
            Payment.means == Means.DIRECT_DEBIT,
        )
        came_back = exists().where(
            DebitRejection.tenant_id == Invoice.tenant_id,
            DebitRejection.invoice_id == Invoice.id,
        )
        since = today(self._clock.now()) - SINCE
        return self._session.execute(
            select(Invoice.id, Invoice.number, Invoice.payment_reference).where(
                Invoice.tenant_id == self._tenant,
                Invoice.regie == regie,
                Invoice.kind == InvoiceKind.INVOICE,
                is_shown(),
                or_(
                    Invoice.number.in_(named),
                    and_(Invoice.payment_reference != "", Invoice.payment_reference.in_(named)),
                    and_(
                        debit_day() >= since, or_(Invoice.direct_debit, debited, came_back)
                    ),
                ),
            )
        ).all()


def _in_order(accepted: Iterable[Accepted]) -> list[Accepted]:
    """Lines as it happened: a debit is taken, then comes back."""
    return sorted(accepted, key=lambda line: (line.day, line.told is Told.REJECTED))


def _kept(line: Accepted) -> list[object]:
    return [
        line.invoice_id, line.told.value, line.cents, line.day.isoformat(), line.code,
        line.finding.value,
    ]  # fmt: skip


def _accepted(kept: Sequence[Any]) -> Accepted:
    invoice_id, told, cents, day, code, finding = kept
    return Accepted(
        invoice_id, Told(told), cents, date.fromisoformat(day), code, Finding(finding)
    )


def _is_clear(finding: Finding, cents: int | None, left: int, *, is_sure: bool) -> bool:
    """True if a line is proposed: without doubt, and named or of exactly the same sum."""
    if finding is Finding.REFUSE and not is_sure:
        return cents == left
    return finding in CLEAR and (is_sure or cents is not None)


@dataclass(frozen=True, slots=True)
class _Match:
    ids: tuple[int, ...]
    is_sure: bool


@dataclass(frozen=True, slots=True)
class _Known:
    standing: Standing
    payment_id: int | None


class _Book:
    """Invoices by their names, in any spelling: capitals, and no signs between."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._names: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self._written: dict[str, int] = {}
        for row in rows:
            for name in filter(None, (row.number, row.payment_reference)):
                self._names[_folded(name)][row.id] = None
                if len(_folded(name)) >= SHORTEST_INSIDE:
                    self._written[name.upper()] = row.id

    def find(self, line: DebitLine) -> _Match:
        """The invoices of the surest name that is known; several, if it is not one's alone."""
        for reference in line.references:
            found = self._names.get(_folded(reference))
            if found:
                return _Match(tuple(found), is_sure=True)
        words = line.words.upper()
        among = {
            one for token in _TOKEN.findall(words) for one in self._names.get(_folded(token), ())
        }
        among = among or self._inside(" ".join((*line.references, words)).upper())
        return _Match(tuple(among), is_sure=False)

    def _inside(self, text: str) -> set[int]:
        """The invoices whose number stands inside a longer reference, between other signs."""
        return {
            invoice_id
            for name, invoice_id in self._written.items()
            if name in text
            and re.search(rf"(?<![A-Z0-9]){re.escape(name)}(?![A-Z0-9])", text)
        }


def _folded(name: str) -> str:
    return _NOT_SIGN.sub("", name.upper())


def _spellings(line: DebitLine) -> set[str]:
    tokens = _TOKEN.findall(line.words.upper())
    return {*line.references, *(one.upper() for one in line.references), *tokens}


def _only(
    line: DebitLine, matches: Sequence[int], standings: Mapping[int, _Known]
) -> int | None:
    """The one invoice that a line is about; of several, the only one that its debit fits."""
    if len(matches) < 2:
        return matches[0] if matches else None
    fitting = []
    for invoice_id in matches:
        standing = standings[invoice_id].standing
        sums = {standing.noted.cents} if standing.noted else {standing.left}
        is_debited = standing.direct_debit or standing.noted or standing.rejected_on
        if is_debited and (line.cents is None or line.cents in sums):
            fitting.append(invoice_id)
    return fitting[0] if len(fitting) == 1 else None
