"""Every column of an invoice: written, changed, brought back by undoing, and kept by a correction."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from core.api.invoices import InvoiceKind, InvoiceRecord, LineRecord, Relation, TaxKind
from core.imports import service, stored
from core.imports.corrections import Corrected
from core.imports.format.columns import INVOICE as HEADER
from core.invoices.models import Invoice, InvoiceLine
from core.testing.portal import Records

ONE = InvoiceRecord(
    regie="CANTINE", number="1", family_code="F001", label="CANTINE", amount=5687,
    issued_on=date(2026, 3, 1), due_on=date(2026, 3, 31), fiscal_year=2026,
    payment_reference="REF000001", debtor="DURAND", address=("1 rue A",),
    period_start=date(2026, 2, 1), period_end=date(2026, 2, 28), direct_debit=True,
    kind=InvoiceKind.INVOICE, origin_number="", line_number=2, piece_keys=("K1",),
    lines=(LineRecord(1, "REPAS", TaxKind.MEAL, 4160, "E001", Decimal(16), 260),
           LineRecord(2, "GARDERIE", TaxKind.CARE, 1527, "E002", Decimal("2.5"), 611)),
)  # fmt: skip
OTHER = {
    "payment_reference": "REF000002", "fiscal_year": 2027, "label": "GARDERIE", "amount": 6000,
    "kind": InvoiceKind.CREDIT_NOTE, "origin_number": "7", "issued_on": date(2026, 3, 5),
    "due_on": date(2026, 4, 30), "period_start": date(2026, 3, 1), "period_end": date(2026, 3, 31),
    "direct_debit": False, "piece_keys": ("K2",), "refers_to": ("K3",), "relation": Relation.COMPLETES,
}  # fmt: skip
OTHER_LINE = {"rank": 3, "activity": "ÉTUDE", "tax_kind": TaxKind.OTHER, "amount": 4161, "child": "E003",
              "quantity": Decimal(15), "unit_price": 261}  # fmt: skip


def table(town, name):
    found = town.session.execute(text(f"SELECT * FROM {name} WHERE tenant_id = 'valmont' ORDER BY 1, 2, 3, 4"))
    return [dict(row) for row in found.mappings()]


def as_kept(value):
    return list(value) if isinstance(value, tuple) else value


def lines_of(town):
    names = ("rank", "activity", "tax_kind", "child_id", "quantity", "unit_price", "amount")
    return sorted(tuple(str(row[name]) for name in names) for row in table(town, "invoice_line"))


def run(portal, item):
    with portal.town() as town:
        report = town.imports.run(Records(item), portal.file())
        assert report.batch_id, report.problems
        return report.batch_id


def test_every_column_is_listed_once():
    assert {*stored.KEPT, *stored.KEYS, *stored.NOT_IMPORTED} == set(Invoice.__table__.columns.keys())
    assert {*stored.STAGED_LINE, *stored.LINE_NOT_IMPORTED} == set(InvoiceLine.__table__.columns.keys())
    assert len(stored.KEPT) == len(set(stored.KEPT))
    assert not {*stored.KEPT, *stored.KEYS} & stored.NOT_IMPORTED
    stated = {one.name for one in fields(InvoiceRecord)}
    family = {column.name for column in stored.FAMILY}
    assert {*stored.STATED, *stored.KEYS, *family} - {"former_hashes", "family_spelling"} == stated - {"lines", "document"}
    assert set(stored.STATED) == OTHER.keys()
    assert {one.name for one in fields(LineRecord)} == OTHER_LINE.keys()


def test_every_name_in_braces_is_known_and_no_column_is_written_by_hand():
    named = set()
    for path in (Path(service.__file__).parent / "sql").glob("*.sql"):
        content = path.read_text("utf-8")
        named |= set(re.findall(r"\{([^}]+)\}", content))
        assert not re.findall(r"period_start|direct_debit|unit_price", content), path.name
    assert named == stored.names().keys()


@pytest.mark.parametrize("column", sorted(OTHER))
def test_a_column_is_stored_changed_brought_back_and_kept(portal, column):
    changes = {column: OTHER[column]}
    if column == "amount":
        changes["lines"] = ()
    if column == "kind":
        changes |= {"amount": -5687, "lines": ()}
    first = run(portal, ONE)
    with portal.town() as town:
        (before,), lines = table(town, "invoice"), lines_of(town)
        assert {name: before[name] for name in stored.STATED} == {
            name: as_kept(getattr(ONE, name)) for name in stored.STATED
        }
    if column == "fiscal_year":  # An invoice of another year is another invoice.
        with portal.town() as town:
            assert town.imports.run(Records(replace(ONE, **changes)), portal.file()).refused
        return
    if column == "piece_keys":  # The names in the accounts alone make no new version.
        changes["label"] = "GARDERIE"
    batch = run(portal, replace(ONE, **changes))
    with portal.town() as town:
        (after,) = table(town, "invoice")
        assert after[column] == as_kept(OTHER[column])
        assert {name for name in after if after[name] != before[name]} <= {*changes, "content_hash"}
        town.imports.undo(batch)
    with portal.town() as town:
        assert table(town, "invoice") == [before]
        assert lines_of(town) == lines
        town.imports.undo(first)
        assert table(town, "invoice") == table(town, "invoice_line") == []


@pytest.mark.parametrize("column", sorted(OTHER_LINE))
def test_a_lines_column_is_stored_changed_and_brought_back(portal, column):
    run(portal, ONE)
    with portal.town() as town:
        before = lines_of(town)
    line = replace(ONE.lines[0], **{column: OTHER_LINE[column]})
    amount = line.amount + ONE.lines[1].amount
    batch = run(portal, replace(ONE, amount=amount, lines=(line, ONE.lines[1])))
    with portal.town() as town:
        changed = lines_of(town)
        assert len(set(changed) - set(before)) == 1
        town.imports.undo(batch)
    with portal.town() as town:
        assert lines_of(town) == before


def test_a_correction_changes_what_it_says_and_nothing_else(portal):
    run(portal, ONE)
    with portal.town() as town:
        (before,), lines = table(town, "invoice"), lines_of(town)
        batch = town.corrections.correct(
            before["id"], Corrected("GARDERIE", ONE.due_on), seen=before["content_hash"], reason="x"
        )
    with portal.town() as town:
        (after,) = table(town, "invoice")
        assert {name for name in after if after[name] != before[name]} == {"label", "content_hash"}
        assert lines_of(town) == lines
        town.imports.undo(batch)
    with portal.town() as town:
        assert table(town, "invoice") == [before]


def test_all_that_is_stated_comes_from_a_column_of_the_format(tmp_path):
    """Each column of the header reaches the record, and each field of the record has a column."""
    from core.api.invoices import SourceFile
    from core.imports.format.csv import CsvSource

    full = {
        "regie": "CANTINE", "numero": "1", "code_famille": "F1", "libelle": "A", "date_facture": "01/03/2026",
        "date_echeance": "31/03/2026", "montant": "56,87", "ref_tipi": "REF000001", "exercice": "2027", "debiteur": "D",
        "adresse1": "a", "adresse2": "b", "adresse3": "c", "code_postal": "38000", "ville": "V", "periode_debut": "01/02/2026",
        "periode_fin": "28/02/2026", "prelevement": "O", "pdf": "", "type": "facture", "facture_origine": "",
    }  # fmt: skip
    assert full.keys() == set(HEADER.all)
    seen = set()
    empty = InvoiceRecord("", "", "", "", 0, date(2026, 1, 1), date(2026, 1, 1), 0)
    notes = {"type": "avoir", "montant": "-56,87", "facture_origine": "7"}
    for number, cells in enumerate((full, full | notes)):
        path = tmp_path / f"{number}.csv"
        path.write_text(";".join(cells) + "\n" + ";".join(cells.values()) + "\n")
        (found,) = CsvSource().read(SourceFile(path, path.name, 1))
        assert isinstance(found, InvoiceRecord), found
        seen |= {one.name for one in fields(found) if getattr(found, one.name) != getattr(empty, one.name)}
    # What only the accounts of the State bring has no column here.
    pieces = {"piece_keys", "refers_to", "relation", "former_numbers"}
    assert seen | pieces | {"document", "lines"} == {one.name for one in fields(InvoiceRecord)}
