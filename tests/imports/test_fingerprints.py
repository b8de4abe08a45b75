"""What tells an import that it has seen an invoice before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, replace
from datetime import date
from decimal import Decimal

import pytest

from core.api.invoices import Attachment, InvoiceKind, LineRecord, Relation, TaxKind
from core.imports.fingerprints import fingerprint
from core.testing.portal import record

RECORD = record(
    address=("1 rue du Lavoir", "99000 Démoville"), period_start=date(2026, 2, 1), line_number=7,
    document=Attachment("a.pdf", bytes),
    lines=(
        LineRecord(1, "Repas", TaxKind.MEAL, 4160, "E001", Decimal("16.00"), 260),
        LineRecord(2, "Garderie", TaxKind.CARE, 1527),
    ),
)  # fmt: skip


def test_it_is_the_digest_of_all_fields_as_json():
    """The plain way of saying it, which towns that imported before have in their rows.

    Fields that came later are stated where they say something, or else every invoice of every town
    would have changed, and one that is paid may not.
    """
    stated = asdict(replace(RECORD, document=None, line_number=0)) | {"document": "d"}
    for later in ("piece_keys", "refers_to", "relation", "former_numbers"):
        del stated[later]
    plain = json.dumps(stated, default=str, sort_keys=True).encode()
    assert fingerprint(RECORD, "d") == hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize("name", [one.name for one in fields(RECORD)])
def test_every_field_counts_but_where_it_stood(name):
    others = {
        "amount": 1, "fiscal_year": 2025, "issued_on": date(2025, 1, 1), "due_on": date(2025, 1, 1),
        "period_start": None, "period_end": date(2025, 1, 1), "direct_debit": True,
        "kind": InvoiceKind.CREDIT_NOTE, "address": (), "lines": RECORD.lines[:1], "document": None,
        "line_number": 8, "relation": Relation.REPLACES, "piece_keys": ("a",), "refers_to": ("a",),
        "former_numbers": ("a",),
    }  # fmt: skip
    other = replace(RECORD, **{name: others.get(name, "another")})
    same = fingerprint(other, "d") == fingerprint(RECORD, "d")
    assert same is (name in {"document", "line_number", "piece_keys", "former_numbers"})
    assert fingerprint(RECORD, "d") != fingerprint(RECORD, "e")
