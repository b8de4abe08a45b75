"""Tests of the contract for every source, and of this source's answers to wrong lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preau_json_invoices.source import JsonSource

from core.plugin import InvoiceRecord, SourceFile, SourceNotice, SourceProblem, TaxKind
from core.testing.conformance import InvoiceSourceContract

INVOICE = {
    "number": "2026-0001", "family": "F01207", "name": "MARTIN Céline", "label": "Cantine",
    "day": "2026-11-03",
    "lines": [
        {"label": "Repas", "amount": "41,60", "tax": "repas", "child": "Léa"},
        {"label": "Garderie", "amount": "15,27", "tax": "garde"},
    ],
}  # fmt: skip
SOURCE = JsonSource("CANTINE", "", 30)


class TestJson(InvoiceSourceContract):
    """A file of many lines."""

    @pytest.fixture
    def source(self):
        return SOURCE

    def write(self, folder: Path, count: int) -> Path:
        path = folder / "factures.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for number in range(1, count + 1):
                out.write(json.dumps(INVOICE | {"number": f"2026-{number:06d}"}) + "\n")
        return path


@pytest.fixture
def read(tmp_path):
    def reading(*invoices, source=SOURCE):
        path = tmp_path / "f.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in invoices), "utf-8")
        return list(source.read(SourceFile(path, path.name, 0)))

    return reading


def test_an_invoice(read):
    (found,) = read(INVOICE)
    assert isinstance(found, InvoiceRecord)
    assert (found.regie, found.family_code, found.amount, found.line_number) == (
        "CANTINE", "F01207", 5687, 1,
    )  # fmt: skip
    assert [line.tax_kind for line in found.lines] == [TaxKind.MEAL, TaxKind.CARE]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"number": ""}, "number"), ({"family": None}, "family"), ({"day": "2026-02-30"}, "day"),
        ({"lines": []}, "lines"), ({"lines": [{"label": "R", "amount": "1.234"}]}, "amount"),
        ({"lines": [{"label": "R", "amount": "1", "tax": "x"}]}, "tax"),
        ({"lines": [{"label": "R", "amount": "-1"}]}, "lines"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, change, column):
    good, wrong = read(INVOICE, INVOICE | change)
    assert isinstance(good, InvoiceRecord)
    assert isinstance(wrong, SourceProblem)
    assert (wrong.line, wrong.column) == (2, column)
    assert wrong.message


def test_other_services_are_left_out_and_counted(read):
    source = JsonSource("CANTINE", "scolaire", 30)
    own, other = read(INVOICE | {"service": "scolaire"}, INVOICE, source=source)
    assert isinstance(own, InvoiceRecord)
    assert isinstance(other, SourceNotice)
    assert (other.left_out, other.amount) == (True, 5687)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_nothing_is_raised_and_nothing_invented(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "f"
    path.write_bytes(content)
    found = list(SOURCE.read(SourceFile(path, "f", 0)))
    assert found
    assert not [one for one in found if isinstance(one, InvoiceRecord)]
