"""What an invoice states, in a few bytes: two imports of the same invoice give the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from operator import attrgetter

from core.api.invoices import InvoiceRecord, LineRecord

# Not `dataclasses.asdict`, which copies deeply: it took more than a third of an import.
_INVOICE = tuple(
    one.name
    for one in fields(InvoiceRecord)
    if one.name not in {"document", "line_number", "lines"}
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
    return hashlib.sha256(_encode(stated).encode()).hexdigest()
