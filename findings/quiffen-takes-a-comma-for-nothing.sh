#!/bin/bash
# quiffen reads the amounts of a French bank's QIF a hundred times too large: it drops each comma, as one
# between thousands, also where it parts euros from cents. No option says otherwise, and nothing is raised.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check quiffen==4.0.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

from quiffen import Qif

FILE = "!Type:Bank\nD05/01/2026\nT{amount}\nPCANTINE\n^\n"


def read(amount):
    parsed = Qif.parse_string(FILE.format(amount=amount), day_first=True)
    (account,) = parsed.accounts.values()
    (movements,) = account.transactions.values()
    return str(movements[0].amount)


print("quiffen", importlib.metadata.version("quiffen"))
seen = {amount: read(amount) for amount in ("12.10", "12,10", "-12,10")}
print("expected: 12.10, 12.10 and -12.10; or a refusal of the comma")
print("seen:    ", seen)
sys.exit(seen != {"12.10": "12.10", "12,10": "1210", "-12,10": "-1210"})
PYTHON
