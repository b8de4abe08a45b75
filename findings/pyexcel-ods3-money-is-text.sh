#!/bin/bash
# pyexcel-ods3 gives a cell of money as a text with its currency ("12.1 EUR"), and a cell with the same number in
# any other format as a number. What LibreOffice shows as "12,10 €" is one by default where a euro sign is typed.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check pyexcel-ods3==0.6.1 odfpy==1.4.1 python-calamine==0.9.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io
import sys

from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from pyexcel_ods3 import get_data
from python_calamine import CalamineWorkbook

document, table, row = OpenDocumentSpreadsheet(), Table(name="A"), TableRow()
for shown, values in (
    ("12,10 €", {"valuetype": "currency", "value": "12.1", "currency": "EUR"}),
    ("12,10", {"valuetype": "float", "value": "12.1"}),
):
    cell = TableCell(**values)
    cell.addElement(P(text=shown))
    row.addElement(cell)
table.addElement(row)
document.spreadsheet.addElement(table)
file = io.BytesIO()
document.write(file)
print("pyexcel-ods3", importlib.metadata.version("pyexcel-ods3"))
seen = get_data(io.BytesIO(file.getvalue()))["A"]
other = CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue())).get_sheet_by_index(0).to_python()
print("expected: [[12.1, 12.1]], as python-calamine reads it:", other)
print("seen:    ", seen)
sys.exit((seen, other) != ([["12.1 EUR", 12.1]], [[12.1, 12.1]]))
PYTHON
