"""Comparing a journal with what this town's payments say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from core.plugin import PARIS, SourceProblem, StartedAttemptInfo, TenantContext
from plugins.payfip.journal import Comparison, OurPayment, compare, read

KEY = "payfip"
MARGIN = timedelta(days=2)
"""Before a journal's first day: a payment that was asked for late in the evening is paid later."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Differences between a journal and Préau, over the days that the journal covers."""

    lines: int
    comparison: Comparison
    problems: tuple[SourceProblem, ...] = ()


def reconcile(ctx: TenantContext, content: bytes, name: str) -> Reconciliation:
    """Read a journal and compare it with the town's own payments of its days.

    A payment that Préau settled outside these days is not missed in the journal.
    """
    journal = read(content, name)
    if not journal.lines:
        return Reconciliation(0, Comparison(), journal.problems)
    first = min(line.on for line in journal.lines)
    last = max(line.on for line in journal.lines)
    since = datetime.combine(first, time.min, PARIS).astimezone(UTC)
    until = datetime.combine(last, time.max, PARIS).astimezone(UTC)
    asked = ctx.payments.asked(KEY, since - MARGIN, until)
    ours = [_ours(one) for one in asked]
    known = {line.refdet for line in journal.lines}
    ours = [one for one in ours if one.refdet in known or (one.on and first <= one.on <= last)]
    return Reconciliation(len(journal.lines), compare(journal.lines, ours), journal.problems)


def _ours(asked: StartedAttemptInfo) -> OurPayment:
    moment = asked.paid_at or asked.created_at
    return OurPayment(
        payment_id=asked.payment_id,
        refdet=asked.asked.get("refdet", ""),
        amount=asked.amount,
        settled=asked.state == "settled",
        authorisation=asked.authorisation,
        on=moment.astimezone(PARIS).date(),
        reversed=asked.state == "reversed",
    )
