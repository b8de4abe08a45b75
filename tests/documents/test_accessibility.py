"""Every paper is a PDF/UA-1 (`papers_are_accessible` checks each), and says what machines read aloud."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pypdf import PdfReader

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.domain.figures import Month, Report, Slice
from core.payments.paid import PaidInvoice, by_year, table
from core.platform.documents.pdf import render_pdf
from core.platform.documents.render import (
    payment_slip,
    render_certificate,
    render_codes,
    render_invoice,
    render_receipt,
    render_report,
    signatures,
)
from core.platform.documents.sheets import (
    Addressee,
    CertifiedPayer,
    CodesLetter,
    CodesSheet,
    InvoiceSheetLine,
    Reversal,
)
from core.platform.tabular.writing import Cents, Table
from tests.documents.conftest import FAMILY, TOWN

PLAIN_FACTS = "<dl><dt>Code</dt><dd>F1</dd><dt>Date</dt><dd>3 mai</dd></dl>"


def tags(content):
    """Every tag, as its name, language and alternative, in reading order."""
    root = PdfReader(io.BytesIO(content)).trailer["/Root"]["/StructTreeRoot"]["/K"]

    def walk(kids):
        for kid in kids if isinstance(kids, list) else [kids]:
            tag = kid.get_object()
            if isinstance(tag, dict) and "/S" in tag:
                yield str(tag["/S"]), tag.get("/Lang"), tag.get("/Alt")
                yield from walk(tag.get("/K", []))

    return list(walk(root))


PARTS = (Slice("Carte", 3, 500), Slice("Chèque", 0, 0))


def report(channels, parts=PARTS):
    told = tuple(range(len(channels)))
    months = [Month(date(2025, month, 1), 1000, 900 - month, 9, told) for month in range(1, 13)]
    return Report(date(2025, 12, 31), months, parts, parts, 12, parts, channels)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_state_of_an_invoice(invoice_sheet, language):
    for change in (
        {},
        {"paid": 100},
        {"paid": 123456},
        {"credited": 100},
        {"debited_on": date(2025, 11, 20)},
        {"lines": ()},
        {"lines": tuple(InvoiceSheetLine(f"SÉANCE {n}", n) for n in range(90))},
        {"kind": InvoiceKind.CREDIT_NOTE, "amount": -100, "origin_number": "1"},
        {"debtor": Addressee("–"), "period_start": None, "payment_url": "", "pay_otherwise": ()},
    ):
        render_invoice(replace(invoice_sheet, language=language, **change))


@pytest.mark.parametrize("means", [Means.CARD, Means.ONLINE_DEBIT])
def test_every_state_of_a_receipt(receipt_sheet, means):
    render_receipt(replace(receipt_sheet, means=means))
    render_receipt(replace(receipt_sheet, means=means, reversal=Reversal(date(2025, 12, 1), "x")))


def test_certificates_of_two_payers(certificate_sheet):
    rows = certificate_sheet.payers[0].rows * 20
    payers = (CertifiedPayer(FAMILY, rows, frozenset({"Noé"})), CertifiedPayer(FAMILY, ()))
    for final in (True, False):
        render_certificate(replace(certificate_sheet, payers=payers, final=final))


def test_letters_say_their_language():
    letters = tuple(
        CodesLetter(FAMILY, language, "F1", "AAAA-BBBB-CCCC") for language in ("fr", "en", "fr")
    )
    sheet = CodesSheet(TOWN, date(2025, 11, 1), "https://demo.example/acces", letters)
    parts = [language for name, language, _alt in tags(render_codes(sheet).content) if name == "/Sect"]
    assert parts == ["fr", "en", "fr"]


def test_a_part_over_two_pages_keeps_its_language():
    body = "texte<p>un</p>" + '<div lang="en">' + "<p>one</p>" * 60 + '</div><p lang="de">eins</p>'
    found = tags(render_pdf(body, title="t", language="fr"))
    assert [language for name, language, _alt in found if name == "/Div"] == ["en", "en"]
    assert [language for _name, language, _alt in found if language] == ["en", "en", "de"]


def test_a_word_in_a_line_and_a_cell_in_a_row_keep_their_language():
    body = '<p>Paid to <span lang="fr">la régie</span>.</p><dl><dt>Desk</dt><dd lang="fr">Cantine</dd></dl>'
    body += '<table><tr><th scope="col">For</th></tr><tr><td lang="fr">Repas</td></tr></table>'
    found = {name for name, language, _alt in tags(render_pdf(body, title="t", language="en")) if language == "fr"}
    assert {"/Span", "/LBody", "/TD"} <= found
    assert not found & {"/P", "/Table", "/TR", "/L"}


def test_the_towns_own_words_are_french_on_an_english_paper(invoice_sheet, receipt_sheet, certificate_sheet):
    for render, sheet in (
        (render_invoice, invoice_sheet), (render_receipt, receipt_sheet), (render_certificate, certificate_sheet),
    ):  # fmt: skip
        english = [language for _name, language, _alt in tags(render(replace(sheet, language="en")).content)]
        assert english.count("fr") >= 4, render
        assert "fr" not in [language for _name, language, _alt in tags(render(replace(sheet, language="fr")).content)]


@pytest.mark.parametrize("channels", [[], ["Courriel", "Telegram"]])
def test_charts_of_the_dashboard_tell_what_they_are(channels):
    content = render_report(TOWN, report(channels), date(2025, 12, 1), "fr").content
    figures = [alternative for name, _language, alternative in tags(content) if name == "/Figure"]
    assert len(figures) == 2
    assert all("tableau qui suit" in alternative for alternative in figures)


def test_a_month_without_any_payment():
    render_report(TOWN, report([], parts=()), date(2025, 12, 1), "fr")


def test_control_characters_are_left_out_of_a_paper():
    content = render_pdf("<p>MAR\x1bTIN\x85\x7f</p>", title="MAR\x1bTIN", language="fr")
    assert PdfReader(io.BytesIO(content)).pages[0].extract_text() == "MARTIN"


def test_every_picture_of_an_invoice_has_words(invoice_sheet):
    found = tags(render_invoice(invoice_sheet).content)
    assert [bool(alternative) for name, _language, alternative in found if name == "/Figure"] == [True] * 3


@pytest.mark.parametrize("columns", [3, 9])
def test_statements_upright_and_across(columns):
    table = Table(
        "t",
        "Journal",
        ["Nom"] + ["Montant"] * (columns - 1),
        [["MARTIN"] + [Cents(100)] * (columns - 1)] * 70,
        foot=["Total"] + [Cents(7000)] * (columns - 1),
        notes=["Une note."],
        paper=payment_slip(
            [("2025", "7067", "Cantine", 7000)], [("R-1", "MARTIN", "n° 1", 7000)] * 40, 1200
        ),
    )
    table.pdf("Ville de Démo", language="fr")
    replace(table, rows=[], foot=()).pdf("Ville de Démo", language="fr")
    replace(table, paper=payment_slip([], [], 0) + signatures(["Anne", "Nora"])).pdf("Ville de Démo", language="en")


def test_the_list_of_a_year():
    moment = datetime(2025, 6, 30, 22, 30, tzinfo=UTC)
    rows = [
        PaidInvoice(
            n, n, f"2025-{n:06d}", "", "CANTINE ET ACCUEIL DE LOISIRS", "PERI", date(2025, 6, 1), 2100, "", "card",
            moment, "", "",
        )
        for n in range(60)
    ]  # fmt: skip
    (year,) = by_year(rows)
    table(year, "BOND Jamie", str.title).pdf("Ville de Démo", language="fr")


def test_facts_of_a_plugin_are_a_plain_list():
    render_pdf(PLAIN_FACTS, title="t", language="fr")


def test_the_check_sees_a_wrong_structure():
    """A `div` between `dl` and `dt` is the fault that all papers once had."""
    wrong = PLAIN_FACTS.replace("<dt>", "<div><dt>").replace("</dd>", "</dd></div>")
    with pytest.raises(AssertionError, match="PDFUA1-"):
        render_pdf(wrong, title="t", language="fr")
