#!/bin/bash
# sepaxml's `clean=True`, which promises what banks take, turns French quotation marks into `<<` and `>>` and
# leaves `&`: none of them is in the set of characters of SEPA (EPC217-08), so that it puts forbidden characters
# where there were none. The file is valid by its schema, and refused by a bank that keeps to the set.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check sepaxml==2.7.0 lxml==6.1.3
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import datetime
import importlib.metadata
import re
import sys

from lxml import etree
from sepaxml import SepaDD

IBAN = "FR7630001007941234567890185"
config = {"name": "Ville", "IBAN": IBAN, "BIC": "BDFEFRPP", "batch": True, "creditor_id": "FR72ZZZ123456",
          "currency": "EUR", "instrument": "CORE"}
order = SepaDD(config, schema="pain.008.001.02", clean=True)
order.add_payment({
    "name": "Éloïse d’Été & fils", "IBAN": IBAN, "BIC": "BDFEFRPP", "amount": 1210, "type": "RCUR",
    "collection_date": datetime.date(2026, 12, 20), "mandate_id": "M1",
    "mandate_date": datetime.date(2026, 1, 1), "description": "Cantine – « été »",
})
document = etree.fromstring(order.export(validate=True))
texts = [e.text for e in document.iter("{*}Ustrd", "{*}Nm")]
forbidden = sorted(set(re.sub(r"[A-Za-z0-9/?:().,'+ -]", "", "".join(texts))))
print("sepaxml", importlib.metadata.version("sepaxml"))
print("texts:", texts)
print("expected: no character outside A-Z a-z 0-9 / - ? : ( ) . , ' + and space")
print("seen:    ", forbidden)
sys.exit(forbidden != ["&", "<", ">"])
PYTHON
