"""Families who owe what an account's cheques to other régies ask: one account, one household."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from plugins.cheque_import.matcher.snapshot import ALL_SUMS, FEW_OPEN, TELLING, OpenInvoice
from plugins.cheque_import.matcher.subsets import exact_subsets, sums_of


def owing_all(
    invoices: Collection[OpenInvoice], asked: Mapping[str, Sequence[int]]
) -> dict[str, frozenset[int]]:
    """By account, the families who owe each of the amounts (cents) that its cheques ask.

    `invoices` are those that are open in the other régie. Among few of them it says little, and
    among very many it is seldom one family: nothing then.
    """
    if not TELLING <= len(invoices) <= ALL_SUMS:
        return {}
    balances: dict[int, list[int]] = defaultdict(list)
    for invoice in invoices:
        balances[invoice.family_id].append(invoice.balance)
    owing: dict[int, set[int]] = {amount: set() for amounts in asked.values() for amount in amounts}
    for family, due in balances.items():
        if len(due) <= FEW_OPEN:
            for amount in owing.keys() & sums_of(due):
                owing[amount].add(family)
            continue
        for amount, families in owing.items():
            found = exact_subsets(due, amount, limit=1)
            if found.found or not found.complete:
                families.add(family)
    return {
        account: frozenset.intersection(*(frozenset(owing[amount]) for amount in amounts))
        for account, amounts in asked.items()
        if amounts
    }
