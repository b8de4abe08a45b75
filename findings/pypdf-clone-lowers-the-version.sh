#!/bin/bash
# pypdf writes a copy of a PDF 1.7 as PDF 1.3, though the copy keeps everything that came after 1.3: tags,
# language, metadata. The header is the writer's, not the document's.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check pypdf==7.1.1 weasyprint==70.0
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io
import sys

import pypdf
import weasyprint

PAGE = """<html lang="fr"><head><title>Facture</title></head><body><h1>Facture</h1></body></html>"""
plain = weasyprint.HTML(string=PAGE).write_pdf(pdf_variant="pdf/ua-1")
copy = io.BytesIO()
pypdf.PdfWriter(clone_from=io.BytesIO(plain)).write(copy)
for name in ("pypdf", "weasyprint"):
    print(name, importlib.metadata.version(name))
tagged = "/StructTreeRoot" in pypdf.PdfReader(copy).trailer["/Root"]
print("header of the document:      ", plain[:8])
print("header of the copy, expected:", plain[:8])
print("header of the copy, seen:    ", copy.getvalue()[:8], "tagged:", tagged)
sys.exit((plain[:8], copy.getvalue()[:8], tagged) != (b"%PDF-1.7", b"%PDF-1.3", True))
PYTHON
