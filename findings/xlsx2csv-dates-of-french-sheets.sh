#!/bin/bash
# xlsx2csv writes the date format that a French Excel gives by itself (number 14, the reader's own short date:
# 03/04/2026 there) as 04-03-26, and names months in English under a format that asks for French ones.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check xlsx2csv==0.8.6 openpyxl==3.1.5
timeout 120 "$work/venv/bin/python" - "$work" <<'PYTHON'
import importlib.metadata
import sys
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles.numbers import BUILTIN_FORMATS
from xlsx2csv import Xlsx2csv

folder = Path(sys.argv[1])
book = Workbook()
for place, kind in (("A1", BUILTIN_FORMATS[14]), ("A2", "dd/mm/yyyy"), ("A3", "[$-40C]d mmmm yyyy")):
    book.active[place] = datetime(2026, 4, 3)
    book.active[place].number_format = kind
book.save(folder / "book.xlsx")
Xlsx2csv(str(folder / "book.xlsx")).convert(str(folder / "book.csv"))
seen = (folder / "book.csv").read_text().split("\n")[:3]
print("xlsx2csv", importlib.metadata.version("xlsx2csv"))
print("expected: one order of day and month for all, or a date without doubt; avril")
print("seen:    ", seen)
sys.exit(seen != ["04-03-26", "03/04/2026", "03 April 2026"])
PYTHON
