#!/bin/bash
# num2words, asked for euros in French, takes a whole number for cents (80 is "zéro euros et quatre-vingts
# centimes", 80.0 is eighty euros), leaves the `d’` out of "dix millions d’euros", which a cheque needs, and
# spells ordinals that do not exist ("quatre-vingtsième", "deux centsième").
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check num2words==0.5.14
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

from num2words import num2words


def euros(amount):
    return num2words(amount, lang="fr", to="currency", currency="EUR")


print("num2words", importlib.metadata.version("num2words"))
seen = [euros(80), euros(80.0), euros(10_000_000.0), num2words(80, lang="fr", to="ordinal")]
print("expected: quatre-vingts euros (twice), dix millions d’euros, quatre-vingtième")
print("seen:    ", seen)
sys.exit(seen != [
    "zéro euros et quatre-vingts centimes",
    "quatre-vingts euros et zéro centimes",
    "dix millions euros et zéro centimes",
    "quatre-vingtsième",
])
PYTHON
