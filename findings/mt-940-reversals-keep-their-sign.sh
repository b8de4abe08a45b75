#!/bin/bash
# mt-940 gives a reversed credit the sign of a credit, and a reversed debit that of one: of the marks of line 61
# only D makes an amount negative. A rejected direct debit, which banks book as RC, stands as money that came,
# and the movements no longer add up to the balance that the same file gives.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check mt-940==5.1.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import mt940

FILE = """:20:STATEMENT
:25:30004/00012345678
:28C:1/1
:60F:C260101EUR100,00
:61:2601050105{mark}12,10NMSCR1
:86:CANTINE
:62F:C260105EUR{balance}
"""
BALANCES = {"C": "112,10", "D": "87,90", "RC": "87,90", "RD": "112,10"}

print("mt-940", importlib.metadata.version("mt-940"))
seen = {}
for mark, balance in BALANCES.items():
    parsed = mt940.parse(FILE.format(mark=mark, balance=balance))
    seen[mark] = str(parsed[0].data["amount"].amount)
    print(mark, "amount", seen[mark], "| balance 100.00 ->", parsed.data["final_closing_balance"].amount.amount)
print("expected: RC -12.10, RD 12.10 and D -12.10, by which the balances move")
sys.exit(seen != {"C": "12.10", "D": "-12.10", "RC": "12.10", "RD": "12.10"})
PYTHON
