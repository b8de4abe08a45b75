#!/bin/bash
# price-parser takes "-12,10" for 12.10: a credit note becomes a debt. Of "12.345" it makes twelve thousand, of
# "2 × 3,50 €" two euros.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check price-parser==0.5.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

from price_parser import Price

print("price-parser", importlib.metadata.version("price-parser"))
seen = [str(Price.fromstring(text).amount) for text in ("-12,10", "\N{MINUS SIGN}12,10 €", "2 × 3,50 €")]
print("expected: -12.10, -12.10, 3.50 or 7.00")
print("seen:    ", ", ".join(seen))
sys.exit(seen != ["12.10", "12.10", "2"])
PYTHON
