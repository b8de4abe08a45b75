#!/bin/bash
# WeasyPrint, asked for a PDF/UA-1 with fields to fill in, takes a field's name for the reader from its `label`
# or its `title`: `aria-label`, which names a field in every browser, is ignored, and the technical name is read
# out instead.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check weasyprint==70.0 pypdf==7.1.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io
import sys

import pypdf
import weasyprint

PAGE = """<html lang="fr"><head><title>Demande</title></head><body><h1>Demande</h1><form>
<label for="a">Nom</label> <input id="a" name="f1">
<input name="f2" aria-label="Prénom"> <input name="f3" title="Téléphone"></form></body></html>"""
pdf = weasyprint.HTML(string=PAGE).write_pdf(pdf_variant="pdf/ua-1", pdf_forms=True)
page = pypdf.PdfReader(io.BytesIO(pdf)).pages[0]
fields = [annotation.get_object() for annotation in page["/Annots"]]
seen = [field.get("/TU") for field in fields if field["/Subtype"] == "/Widget"]
print("weasyprint", importlib.metadata.version("weasyprint"))
print("expected:", ["Nom", "Prénom", "Téléphone"])
print("seen:    ", seen)
sys.exit(seen != ["Nom", "f2", "Téléphone"])
PYTHON
