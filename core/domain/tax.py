"""Sums that a family paid for care in a year: the rows of the tax certificate.

The income tax gives back half of what was *paid in the year* for the care of a child under six
(CGI art. 200 quater B); meals and other extras never count. Towns certify the sums, by child and by
payer, by date of payment (CHEQUES_AND_FORMATS 3.5).

Where an invoice was paid in part, no one said which of its lines was paid. The rule here, which the
certificate states: each payment pays every line in proportion to what is left of it, to the exact
cent. So payments in full add up to each line's amount, whatever their number, and no line is ever
paid more than it asks. What a credit note takes off an invoice is not asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from core.domain.money import split_pro_rata

UNDER_AGE = 6
"""The child is under six on 1 January of the income year."""

CEILING_SINCE_2022 = 350_000
"""Cents per child and year; to be checked in each year's finance act."""

CEILING_BEFORE_2022 = 230_000


@dataclass(frozen=True, slots=True)
class TaxLine:
    """A line of an invoice. `amount` is in cents, negative for a rebate; `care` tells *garde*."""

    child: int | None
    activity: str
    care: bool
    amount: int


@dataclass(frozen=True, slots=True)
class TaxInvoice:
    """An invoice and its lines. `amount` is what it asks for, in cents, even where lines differ."""

    id: int
    amount: int
    lines: tuple[TaxLine, ...]

    def less(self, notes: Sequence[TaxInvoice]) -> TaxInvoice:
        """Invoice less its credit notes, whose amounts and lines are below zero."""
        return TaxInvoice(
            self.id,
            max(self.amount + sum(note.amount for note in notes), 0),
            (*self.lines, *(line for note in notes for line in note.lines)),
        )


@dataclass(frozen=True, slots=True)
class TaxShare:
    """Cents of a payment that pay an invoice (an allocation in force: not a reversed one).

    `paid_on` is the day in France on which the payer paid.
    """

    payment: int
    invoice: int
    paid_on: date
    payer: str
    amount: int


@dataclass(frozen=True, slots=True)
class CareRow:
    """Cents that one payment brought for one kind of care of one child."""

    payer: str
    child: int | None
    paid_on: date
    payment: int
    invoice: int
    activity: str
    amount: int


def care_paid(
    year: int, invoices: Iterable[TaxInvoice], shares: Iterable[TaxShare]
) -> tuple[CareRow, ...]:
    """Sums paid for care in `year`, in the order of payers, children and dates.

    `shares` holds *every* share in force of these invoices, those of other years too: what an
    earlier payment took of a line is no longer there to be paid.
    """
    by_invoice: dict[int, list[TaxShare]] = defaultdict(list)
    for share in shares:
        by_invoice[share.invoice].append(share)
    cents: dict[tuple[str, int | None, date, int, int, str], int] = defaultdict(int)
    for invoice in invoices:
        paid = sorted(by_invoice[invoice.id], key=lambda share: (share.paid_on, share.payment))
        for share, parts in zip(paid, pay_lines(invoice, [s.amount for s in paid]), strict=True):
            if share.paid_on.year != year:
                continue
            for line, part in zip(invoice.lines, parts, strict=True):
                if line.care and part:
                    key = (share.payer, line.child, share.paid_on, share.payment, invoice.id)
                    cents[*key, line.activity] += part
    rows = [CareRow(*key, amount=amount) for key, amount in cents.items()]
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                row.payer,
                row.child is None,
                row.child or 0,
                row.paid_on,
                row.payment,
                row.invoice,
                row.activity,
            ),
        )
    )


def pay_lines(invoice: TaxInvoice, payments: Sequence[int]) -> list[list[int]]:
    """For each payment in turn, the cents that go to each line of the invoice.

    What an invoice asks beyond its lines is paid like a line that is no care; payments beyond the
    invoice's amount pay nothing (they are a credit, not care).
    """
    left = [*line_weights(invoice), 0]
    left[-1] = max(invoice.amount - sum(left), 0)
    parts = []
    for amount in payments:
        if amount < 0:
            raise ValueError("a payment is never negative")
        part = split_pro_rata(min(amount, sum(left)), left)
        left = [rest - paid for rest, paid in zip(left, part, strict=True)]
        parts.append(part[:-1])
    return parts


def line_weights(invoice: TaxInvoice) -> list[int]:
    """Cents that each line asks for once rebates are taken off, never negative.

    A negative line (rebate, allowance) first lowers the lines of the same child and kind, then all
    lines in proportion: a certificate states sums net of aids.
    """
    weights = [max(line.amount, 0) for line in invoice.lines]
    excess = max(sum(line.amount for line in invoice.lines) - invoice.amount, 0)
    groups: dict[tuple[int | None, bool], list[int]] = defaultdict(list)
    for index, line in enumerate(invoice.lines):
        groups[line.child, line.care].append(index)
    for indexes in groups.values():
        rebate = sum(max(-invoice.lines[index].amount, 0) for index in indexes)
        excess += rebate - _lower(weights, indexes, rebate)
    _lower(weights, range(len(weights)), excess)
    return weights


def _lower(weights: list[int], indexes: Sequence[int], amount: int) -> int:
    """Take up to `amount` off the weights at `indexes`, pro rata; what was taken."""
    here = [weights[index] for index in indexes]
    taken = min(amount, sum(here))
    for index, part in zip(indexes, split_pro_rata(taken, here), strict=True):
        weights[index] -= part
    return taken


def is_under_age(born_on: date, year: int) -> bool:
    """Tell whether a child gives the right for the income of `year`.

    The tax forms read "under six on 1 January" as born in `year` - 6 or later, so that the child
    who turns six that very day still counts.
    """
    return born_on >= date(year - UNDER_AGE, 1, 1)


def ceiling(year: int, *, shared_custody: bool = False) -> int:
    """The most cents of care that count per child: half of it in alternating residence."""
    whole = CEILING_SINCE_2022 if year >= 2022 else CEILING_BEFORE_2022
    return whole // 2 if shared_custody else whole


def countable(paid: int, year: int, *, shared_custody: bool = False) -> int:
    """The cents that enter the computation of the credit, out of those `paid` for one child."""
    return min(paid, ceiling(year, shared_custody=shared_custody))
