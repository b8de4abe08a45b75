"""An address shows in the window of its envelope, whole and alone, measured on the printed sheet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pypdfium2
import pytest

from core.platform.documents.render import (
    render_certificate,
    render_codes,
    render_invoice,
    render_receipt,
)
from core.platform.documents.sheets import Addressee, CodesLetter, CodesSheet
from tests.documents.conftest import FAMILY, TOWN

TOP_MM, BOTTOM_MM, LEFT_MM, RIGHT_MM = 44, 79, 100, 190
LONGEST = (
    "MADAME MARIE-HELENE DE LA ROCHEFOUCAUL",
    "APPARTEMENT 12 ESCALIER C CHEZ DUMONTM",
    "RÉSIDENCE DES GRANDS CHÊNES BÂTIMENT B",
    "128 BIS AVENUE DU MARÉCHAL MOUNAMAOUMA",
    "LIEU DIT LA MOMMERIE DES GRANDS MOULIN",
    "99000 SAINT MAMMES EN MONTAGNE CEDEX 9",
)
MANY = tuple(f"LIGNE {number} DE L’ADRESSE" for number in range(1, 10))
HEADS = {
    "short": replace(TOWN, logo=None, address=(), contact=()),
    "usual": TOWN,
    "long name": replace(TOWN, name="Communauté de communes de " + "Saint-Julien-lès-Montagnes " * 4),
    "long address": replace(TOWN, address=tuple(f"{n} place de la Mairie" for n in range(9))),
    "long contact": replace(TOWN, contact=tuple(f"Bureau {n} : 01 99 00 00 0{n}" for n in range(9))),
    "long hours": replace(TOWN, logo=None, contact=("du lundi au vendredi de 8 h 30 à 12 h, " * 9,)),
    "a little too long": replace(TOWN, address=TOWN.address * 3, contact=TOWN.contact * 3),
}


def in_the_window(content):
    """The lines that touch the window, page by page, and whether they stay in it."""
    for sheet in pypdfium2.PdfDocument(content):
        height = sheet.get_height()
        text = sheet.get_textpage()
        found = []
        for index in range(text.count_rects()):
            left, low, right, high = text.get_rect(index)
            x1, x2 = left * 25.4 / 72, right * 25.4 / 72
            y1, y2 = (height - high) * 25.4 / 72, (height - low) * 25.4 / 72
            if y2 > TOP_MM and y1 < BOTTOM_MM and x2 > LEFT_MM:
                words = text.get_text_bounded(left, low, right, high).strip()
                whole = y1 >= TOP_MM and y2 <= BOTTOM_MM and x1 >= LEFT_MM and x2 <= RIGHT_MM
                found.append((words, whole))
        yield found


def shows(lines):
    return [(line, True) for line in lines]


@pytest.mark.parametrize("lines", [LONGEST, MANY, ("M" * 38,), ("–",)], ids=len)
@pytest.mark.parametrize("head", HEADS)
def test_the_address_of_an_invoice(invoice_sheet, head, lines):
    debtor = Addressee(lines[0], lines[1:])
    document = render_invoice(replace(invoice_sheet, town=HEADS[head], debtor=debtor))
    first, *_rest = in_the_window(document.content)
    assert first == shows(lines)


@pytest.mark.parametrize("head", HEADS)
def test_the_address_of_a_receipt(receipt_sheet, head):
    sheet = replace(receipt_sheet, town=HEADS[head], payer=Addressee(LONGEST[0], LONGEST[1:]))
    assert next(in_the_window(render_receipt(sheet).content)) == shows(LONGEST)


@pytest.mark.parametrize("head", HEADS)
def test_the_address_of_every_letter(certificate_sheet, head):
    addressee = Addressee(LONGEST[0], LONGEST[1:])
    letters = tuple(CodesLetter(addressee, "fr", "F1", "AAAA-BBBB-CCCC") for _ in range(3))
    sheet = CodesSheet(HEADS[head], date(2025, 11, 1), "https://demo.example/acces", letters)
    pages = list(in_the_window(render_codes(sheet).content))
    assert [page for page in pages if page == shows(LONGEST)] == [shows(LONGEST)] * 3

    payers = tuple(replace(certificate_sheet.payers[0], payer=addressee) for _ in range(2))
    content = render_certificate(replace(certificate_sheet, town=HEADS[head], payers=payers)).content
    assert sum(page == shows(LONGEST) for page in in_the_window(content)) == 2


def test_an_address_of_long_lines_is_whole(invoice_sheet):
    debtor = Addressee("de La Rochefoucauld-Montmorency-Luxembourg " * 2, ("RUE " * 20,) * 3)
    first, *_rest = in_the_window(render_invoice(replace(invoice_sheet, debtor=debtor)).content)
    assert all(whole for _words, whole in first)
    assert " ".join(words for words, _whole in first).count("RUE") == 60


def test_the_usual_address_is_of_the_usual_size(invoice_sheet):
    first, *_rest = in_the_window(render_invoice(invoice_sheet).content)
    assert first == shows((FAMILY.name, *FAMILY.address))
