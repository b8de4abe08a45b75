#!/bin/bash
# eopayment knows PayFiP's notification by `idOp`, and its `response` then asks for `idop`: what
# `guess` takes for a notification of the service, `response` refuses. Exits non-zero on a change.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 240 "$work/venv/bin/pip" install --quiet --disable-pip-version-check eopayment==3.15
timeout 60 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import eopayment
from eopayment.payfip_ws import Payment

BODY = "idOp=cc0cb210-1cd4-11ea-8cca-0213ad91a103"
payment = eopayment.Payment(
    "payfip_ws",
    {
        "numcli": "090909",
        "automatic_return_url": "https://portail.exemple.fr/n",
        "normal_return_url": "https://portail.exemple.fr/r",
    },
)
known = Payment.guess(body=BODY.encode())
try:
    payment.response(BODY)
    refused = ""
except eopayment.ResponseError as error:
    refused = str(error)
print("eopayment", importlib.metadata.version("eopayment"))
print("expected: a body that guess() knows as PayFiP's is one that response() reads")
print(f"seen:     guess() gives {known!r}, response() raises ResponseError: {refused!r}")
sys.exit(not (known and "idop" in refused))
PYTHON
