"""Ways to pay: which sets of one family's invoices a cheque's amount may mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from plugins.cheque_import.matcher import explain
from plugins.cheque_import.matcher.evidence import Evidence
from plugins.cheque_import.matcher.snapshot import Index, OpenInvoice
from plugins.cheque_import.matcher.subsets import exact_subsets

_EXACT_SHOWN = 3

Places = tuple[int, ...]
"""Invoices of a family by their places among those that it owes, the oldest first."""


class Way(NamedTuple):
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
        return Way(_chosen(opened, structured[0]), len(structured) == 1, amount)
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
    ways += [Way(_chosen(opened, group), len(structured) == 1, amount) for group in structured]
    if len(structured) < _EXACT_SHOWN:
        subsets = exact_subsets([i.balance for i in opened], amount, limit=_EXACT_SHOWN)
        ways += [
            Way(_chosen(opened, chosen), subsets.unique and not structured, amount)
            for chosen in subsets.found
            if chosen not in structured
        ]
    if opened and all(way.due != amount for way in ways):
        near = sorted([_nearness(amount, due, group) for due, group in groups])[:2]
        ways += [
            Way(_chosen(opened, group), unique=False, due=due) for *_near, group, due in near
        ]
    return ways


def _chosen(opened: Sequence[OpenInvoice], places: Iterable[int]) -> tuple[OpenInvoice, ...]:
    return tuple([opened[place] for place in places])


def _completed(
    given: tuple[OpenInvoice, ...], others: Sequence[OpenInvoice], left: int
) -> Way | None:
    subsets = exact_subsets([invoice.balance for invoice in others], left)
    if not subsets.found:
        return None
    chosen = tuple(others[i] for i in subsets.found[0])
    return _way(given + chosen, unique=subsets.unique)


def _structured(groups: Sequence[tuple[int, Places]], amount: int) -> list[Places]:
    """Exact ways that people mean by themselves: an invoice, a month, everything. Once each."""
    found = {group for due, group in groups if due == amount}
    return sorted(found, key=lambda group: (len(group), group)) if len(found) > 1 else list(found)


def _groups(opened: Sequence[OpenInvoice]) -> list[tuple[int, Places]]:
    """Each invoice, each month's and all of them, with what they owe together."""
    found: list[tuple[int, Places]] = []
    months: dict[tuple[int, int], list[int]] = {}
    for place, invoice in enumerate(opened):
        found.append((invoice.balance, (place,)))
        issued = invoice.issued_on
        months.setdefault((issued.year, issued.month), []).append(place)
    if len(months) == len(opened):
        months = {}
    found += [
        (sum([opened[place].balance for place in month]), tuple(month))
        for month in months.values()
        if len(month) > 1
    ]
    if len(opened) > 1 and len(months) != 1:
        found.append((sum([invoice.balance for invoice in opened]), tuple(range(len(opened)))))
    return found


def _nearness(amount: int, due: int, group: Places) -> tuple[bool, int, Places, int]:
    """Explained by a slip first, then the smallest difference, then the oldest."""
    return explain.slip_kind(amount, due) is None, abs(amount - due), group, due


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
