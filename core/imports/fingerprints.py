"""Digest of the facts that an invoice states: two imports of one invoice give the same digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from operator import attrgetter

from core.api.invoices import InvoiceRecord, LineRecord

_NAMES = frozenset({"piece_keys", "former_numbers"})
"""Fields with other names of an invoice: no part of the facts that it states."""
_LATER = ("refers_to", "relation")
"""Fields that are stated where they say something: most invoices that came before had none."""

# Not `dataclasses.asdict`, which copies deeply: it took more than a third of an import.
_INVOICE = tuple(
    one.name
    for one in fields(InvoiceRecord)
    if one.name not in {"document", "line_number", "lines", *_NAMES, *_LATER}
)
_LINE = tuple(one.name for one in fields(LineRecord))
_invoice, _line = attrgetter(*_INVOICE), attrgetter(*_LINE)
_encode = json.JSONEncoder(default=str, sort_keys=True).encode


def fingerprint(record: InvoiceRecord, document: str) -> str:
    """A digest of all that `record` says, but not of where it stood in its file.

    `document` is the digest of its PDF, "" without one.
    """
    stated = dict(zip(_INVOICE, _invoice(record), strict=True))
    stated["lines"] = [dict(zip(_LINE, _line(line), strict=True)) for line in record.lines]
    stated["document"] = document
    stated["line_number"] = 0
    stated |= {name: value for name in _LATER if (value := getattr(record, name))}
    return hashlib.sha256(_encode(stated).encode()).hexdigest()
