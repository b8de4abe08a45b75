#!/bin/bash
# eopayment's PayFiP client takes `service_url` (and its command line `--service-url`) and ignores it:
# calls go to the address of the contract. Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 240 "$work/venv/bin/pip" install --quiet --disable-pip-version-check eopayment==3.15
timeout 60 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import requests
from requests.adapters import BaseAdapter
from zeep import Transport

from eopayment.payfip_ws import PayFiP, PayFiPError

WANTED = "http://127.0.0.1:1/tpa/services/securite"
called = []


class Recorder(BaseAdapter):
    """Notes each address that is called, and reaches nobody."""

    def send(self, request, **_options):
        called.append(request.url)
        raise requests.ConnectionError("recorded")

    def close(self):
        pass


session = requests.Session()
for scheme in ("http://", "https://"):
    session.mount(scheme, Recorder())
client = PayFiP(service_url=WANTED, zeep_client_kwargs={"transport": Transport(session=session)})
try:
    client.get_info_client("090909")
except PayFiPError:
    pass
print("eopayment", importlib.metadata.version("eopayment"))
print("expected: a call of", WANTED)
print("seen:     a call of", ", ".join(called))
sys.exit(called != ["https://www.payfip.gouv.fr/tpa/services/securite"])
PYTHON
