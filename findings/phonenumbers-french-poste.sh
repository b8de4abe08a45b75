#!/bin/bash
# phonenumbers knows many words for an extension, not the French one: the letters of "poste" (and of "(maman)")
# become digits as on an old telephone, and the number is none. A number of Réunion as it is dialled there and in
# France is no French number.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check phonenumbers==9.0.43
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import phonenumbers


def read(text):
    number = phonenumbers.parse(text, "FR")
    whole = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return whole, number.extension, phonenumbers.is_valid_number(number)


print("phonenumbers", importlib.metadata.version("phonenumbers"))
seen = [read("01 23 45 67 89 ext. 12"), read("01 23 45 67 89 poste 12"), read("0262 12 34 56")]
print("expected: ('+33123456789', '12', True) twice, then a number of Réunion")
for one in seen:
    print("seen:    ", one)
sys.exit(seen != [
    ("+33123456789", "12", True),
    ("+331234567897678312", None, False),
    ("+33262123456", None, False),
])
PYTHON
