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

    @property
    def due(self) -> int:
        """What these invoices owe, in cents."""
        return sum(invoice.balance for invoice in self.invoices)


def exact_way(amount: int, evidence: Evidence, family: int, index: Index) -> Way | None:
    """The way to pay exactly `amount`; `unique` when it is the only one that makes sense."""
    opened = index.by_family.get(family, [])
    referred = evidence.referred
    if referred:
        left = amount - sum(invoice.balance for invoice in referred)
        if left == 0:
            return Way(referred, unique=True)
        others = [invoice for invoice in opened if invoice not in referred]
        return _completed(referred, others, left) if left > 0 else None
    structured = _structured(opened, amount)
    if structured:
        return Way(structured[0], unique=len(structured) == 1)
    return _completed((), opened, amount)


def likely_ways(amount: int, evidence: Evidence, family: int, index: Index) -> list[Way]:
    """The ways worth naming: what the references say, exact sums, else the nearest ones."""
    opened = index.by_family.get(family, [])
    referred = tuple(i for i in evidence.referred if i.family_id == family)
    ways: list[Way] = []
    if referred:
        ways.append(Way(referred, unique=True))
        if len(referred) < len(evidence.referred):
            ways.append(Way(evidence.referred, unique=True))
        left = amount - ways[0].due
        others = [invoice for invoice in opened if invoice not in referred]
        if left > 0 and (more := _completed(referred, others, left)):
            ways.append(more)
    structured = _structured(opened, amount)[:_EXACT_SHOWN]
    ways += [Way(group, unique=len(structured) == 1) for group in structured]
    if len(structured) < _EXACT_SHOWN:
        subsets = exact_subsets([i.balance for i in opened], amount, limit=_EXACT_SHOWN)
        ways += [
            Way(tuple(opened[i] for i in chosen), unique=subsets.unique and not structured)
            for chosen in subsets.found
        ]
    if not any(way.due == amount for way in ways) and opened:
        near = sorted(
            _groups(opened),
            key=lambda group: _nearness(amount, sum(i.balance for i in group), group),
        )
        ways += [Way(group, unique=False) for group in near[:2]]
    return ways


def _completed(
    given: tuple[OpenInvoice, ...], others: Sequence[OpenInvoice], left: int
) -> Way | None:
    subsets = exact_subsets([invoice.balance for invoice in others], left)
    if not subsets.found:
        return None
    chosen = tuple(others[i] for i in subsets.found[0])
    return Way(given + chosen, unique=subsets.unique)


def _structured(opened: Sequence[OpenInvoice], amount: int) -> list[tuple[OpenInvoice, ...]]:
    """Exact ways that people mean by themselves: an invoice, a month, everything. Once each."""
    found = {
        tuple(invoice.id for invoice in group): group
        for group in _groups(opened)
        if sum(invoice.balance for invoice in group) == amount
    }
    if len(found) < 2:
        return list(found.values())
    return sorted(found.values(), key=lambda group: (len(group), [(i.due_on, i.id) for i in group]))


def _groups(opened: Sequence[OpenInvoice]) -> Iterable[tuple[OpenInvoice, ...]]:
    months: dict[tuple[int, int], list[OpenInvoice]] = defaultdict(list)
    for invoice in opened:
        yield (invoice,)
        months[invoice.issued_on.year, invoice.issued_on.month].append(invoice)
    for month in months.values():
        yield tuple(month)
    if opened:
        yield tuple(opened)


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
