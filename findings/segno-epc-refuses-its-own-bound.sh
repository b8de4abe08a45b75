#!/bin/bash
# segno's EPC code (the QR code of a transfer) refuses the largest amount that the standard and its own message
# allow where it comes as a float, takes it as a text or a decimal, and rounds 12.345 to 12.35 without a word.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check segno==1.6.6
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys
from decimal import Decimal

from segno import helpers

IBAN = "FR7630001007941234567890185"


def made(amount):
    try:
        helpers.make_epc_qr(name="Ville", iban=IBAN, amount=amount, text="F-1")
    except ValueError as error:
        return str(error)
    return "made"


print("segno", importlib.metadata.version("segno"))
seen = [made(amount) for amount in (999999999.99, Decimal("999999999.99"), "999999999.99", 999999999.98, 12.345)]
print("expected: made, made, made, made, an error (three decimals are no euros)")
for one in seen:
    print("seen:    ", one)
sys.exit([one == "made" for one in seen] != [False, True, True, True, True])
PYTHON
