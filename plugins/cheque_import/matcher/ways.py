"""Ways to pay: which sets of one family's invoices a cheque's amount may mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.evidence import Evidence
from plugins.cheque_import.matcher.snapshot import Index, OpenInvoice
from plugins.cheque_import.matcher.subsets import exact_subsets

_EXACT_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Way:
    """Invoices of one family that a cheque may pay."""

    invoices: tuple[OpenInvoice, ...]
    unique: bool
    due: int
    """Balance due of these invoices, in cents."""


def _way(invoices: tuple[OpenInvoice, ...], *, unique: bool) -> Way:
    return Way(invoices, unique, sum(invoice.balance for invoice in invoices))


def exact_way(amount: int, evidence: Evidence, family: int, index: Index) -> Way | None:
    """The way to pay exactly `amount`; `unique` when it is the only one that makes sense."""
    opened = index.by_family.get(family, [])
    referred = evidence.referred
    if referred:
        left = amount - sum(invoice.balance for invoice in referred)
        if left == 0:
            return _way(referred, unique=True)
        others = [invoice for invoice in opened if invoice not in referred]
        return _completed(referred, others, left) if left > 0 else None
    structured = _structured(_groups(opened), amount)
    if structured:
        return Way(structured[0], len(structured) == 1, amount)
    return _completed((), opened, amount)


def likely_ways(amount: int, evidence: Evidence, family: int, index: Index) -> list[Way]:
    """The ways worth naming: what the references say, exact sums, else the nearest ones."""
    opened = index.by_family.get(family, [])
    referred = tuple(i for i in evidence.referred if i.family_id == family)
    ways: list[Way] = []
    if referred:
        ways.append(_way(referred, unique=True))
        if len(referred) < len(evidence.referred):
            ways.append(_way(evidence.referred, unique=True))
        left = amount - ways[0].due
        others = [invoice for invoice in opened if invoice not in referred]
        if left > 0 and (more := _completed(referred, others, left)):
            ways.append(more)
    groups = _groups(opened)
    structured = _structured(groups, amount)[:_EXACT_SHOWN]
    ways += [Way(group, len(structured) == 1, amount) for group in structured]
    if len(structured) < _EXACT_SHOWN:
        subsets = exact_subsets([i.balance for i in opened], amount, limit=_EXACT_SHOWN)
        ways += [
            Way(
                tuple(opened[i] for i in chosen), subsets.unique and not structured, amount
            )
            for chosen in subsets.found
        ]
    if not any(way.due == amount for way in ways) and opened:
        near = sorted(groups, key=lambda group: _nearness(amount, *group))
        ways += [Way(group, unique=False, due=due) for due, group in near[:2]]
    return ways


def _completed(
    given: tuple[OpenInvoice, ...], others: Sequence[OpenInvoice], left: int
) -> Way | None:
    subsets = exact_subsets([invoice.balance for invoice in others], left)
    if not subsets.found:
        return None
    chosen = tuple(others[i] for i in subsets.found[0])
    return _way(given + chosen, unique=subsets.unique)


def _structured(
    groups: Sequence[tuple[int, tuple[OpenInvoice, ...]]], amount: int
) -> list[tuple[OpenInvoice, ...]]:
    """Exact ways that people mean by themselves: an invoice, a month, everything. Once each."""
    found = {
        tuple(invoice.id for invoice in group): group for due, group in groups if due == amount
    }
    if len(found) < 2:
        return list(found.values())
    return sorted(found.values(), key=lambda group: (len(group), [(i.due_on, i.id) for i in group]))


def _groups(opened: Sequence[OpenInvoice]) -> list[tuple[int, tuple[OpenInvoice, ...]]]:
    """Each invoice, each month's and all of them, with what they owe together."""
    found: list[tuple[int, tuple[OpenInvoice, ...]]] = []
    months: dict[tuple[int, int], list[OpenInvoice]] = defaultdict(list)
    due = 0
    for invoice in opened:
        found.append((invoice.balance, (invoice,)))
        months[invoice.issued_on.year, invoice.issued_on.month].append(invoice)
        due += invoice.balance
    found += [
        (sum(invoice.balance for invoice in month), tuple(month))
        for month in months.values()
        if len(month) > 1
    ]
    if len(months) > 1:
        found.append((due, tuple(opened)))
    return found


def _nearness(
    amount: int, due: int, group: Sequence[OpenInvoice]
) -> tuple[bool, int, list[tuple[object, int]]]:
    """Explained by a slip first, then the smallest difference, then the oldest."""
    unexplained = explain.slip_kind(amount, due) is None
    return unexplained, abs(amount - due), [(i.due_on, i.id) for i in group]


def split(amount: int, invoices: Iterable[OpenInvoice]) -> tuple[tuple[int, int], ...]:
    """Spread `amount` cents over the invoices, the oldest first: (invoice id, cents)."""
    left = amount
    parts = []
    for invoice in sorted(invoices, key=lambda one: (one.due_on, one.id)):
        taken = min(left, invoice.balance)
        if taken:
            parts.append((invoice.id, taken))
            left -= taken
    return tuple(parts)
