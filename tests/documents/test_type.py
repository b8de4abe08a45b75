"""The papers' type: that of the pages, with figures that align and codes that cannot be misread."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from importlib import resources

import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from pypdf import PdfReader

from core.platform.documents.render import render_certificate, render_invoice, render_receipt

DIGITS = "0123456789"


def font(name):
    file = resources.files("core.platform.documents") / "fonts" / f"{name}.ttf"
    return TTFont(io.BytesIO(file.read_bytes()))


def contours_of_zero(name):
    opened = font(name)
    pen = DecomposingRecordingPen(opened.getGlyphSet())
    opened.getGlyphSet()[opened.getBestCmap()[ord("0")]].draw(pen)
    return sum(1 for step, _points in pen.value if step == "closePath")


@pytest.mark.parametrize("weight", ["Regular", "SemiBold"])
def test_figures_are_of_one_width_with_a_plain_zero(weight):
    opened = font(f"PreauSans-{weight}")
    glyphs, widths = opened.getBestCmap(), opened["hmtx"]
    assert len({widths[glyphs[ord(digit)]][0] for digit in DIGITS}) == 1
    # Between thousands: seen, and narrower than between words.
    assert 180 < widths[glyphs[0x202F]][0] < widths[glyphs[ord(" ")]][0]
    assert contours_of_zero(f"PreauSans-{weight}") == 2
    # A stroke parts the counter of a code's zero in two; it takes the same place.
    assert contours_of_zero(f"PreauCode-{weight}") == 3
    code = font(f"PreauCode-{weight}")
    assert code["hmtx"][code.getBestCmap()[ord("0")]][0] == widths[glyphs[ord("1")]][0]


def fonts_by_text(content):
    """What a paper writes in each of its fonts."""
    told = {}

    def visit(text, _cm, _tm, fonts, _size):
        if fonts and text.strip():
            name = str(fonts["/BaseFont"]).split("+")[-1]
            told[name] = told.get(name, "") + text

    for page in PdfReader(io.BytesIO(content)).pages:
        page.extract_text(visitor_text=visit)
    return told


def test_papers_are_set_in_the_pages_type(invoice_sheet, receipt_sheet, certificate_sheet):
    for document in (
        render_invoice(replace(invoice_sheet, number="2025-010-000314")),
        render_receipt(receipt_sheet),
        render_certificate(certificate_sheet),
    ):
        told = fonts_by_text(document.content)
        assert {re.sub("-.*", "", name) for name in told} <= {"Preau", "PreauSans", "PreauTitle", "PreauCode"}, told
        # The struck zero is for codes, never for money or dates.
        code = "".join(text for name, text in told.items() if "Code" in name)
        assert set(code.split()) <= {"0" * length for length in range(1, 20)}, code


def test_rare_letters_come_with_the_papers(invoice_sheet):
    debtor = replace(invoice_sheet.debtor, name="NGUYỄN Thảo, Ĵurgo №3 → ✓")
    told = fonts_by_text(render_invoice(replace(invoice_sheet, debtor=debtor)).content)
    assert any("Rest" in name for name in told), told
    assert all("reau" in name for name in told), told
