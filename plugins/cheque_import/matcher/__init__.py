"""Invoices that a cheque pays: pure functions over a frozen snapshot (CHEQUES_AND_FORMATS 1.5).

Nothing here reads a database, a clock or a setting. `match` applies nothing: it tells which cheques
are certain, and for the others names candidates, each with its reasons in words.
"""

from plugins.cheque_import.matcher.beside import owing_all
from plugins.cheque_import.matcher.decide import match
from plugins.cheque_import.matcher.rank import ALGORITHM
from plugins.cheque_import.matcher.snapshot import (
    AccountLink,
    Cheque,
    Family,
    Index,
    Match,
    OpenInvoice,
    Proposal,
    Rule,
    Snapshot,
    State,
)

__all__ = [
    "ALGORITHM", "AccountLink", "Cheque", "Family", "Index", "Match", "OpenInvoice", "Proposal",
    "Rule", "Snapshot", "State", "match", "owing_all",
]  # fmt: skip
