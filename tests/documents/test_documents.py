import io
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape
from pypdf import PdfReader
from weasyprint.text.ffi import harfbuzz_subset

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.domain.references import check_character
from core.platform.documents.codes import coupon_code, qr_image
from core.platform.documents.pdf import render_pdf
from core.platform.documents.render import invoice as compose_invoice
from core.platform.documents.render import (
    render_certificate,
    render_invoice,
    render_receipt,
)
from core.platform.documents.sheets import (
    Addressee,
    CertifiedPayer,
    InvoiceSheetLine,
    Logo,
    ReceiptShare,
    Reversal,
    Together,
)
from core.platform.i18n import use
from core.platform.means_words import means_label

HOSTILE = '<script>x</script><img src="http://127.0.0.1:9/x"><b>"\'&amp;</b>{{ 7*7 }}'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def pages(document):
    return [clean(page.extract_text()) for page in reader(document).pages]


def text(document):
    return "\n".join(pages(document))


def clean(raw):
    for space in "\u202f\u00a0\n":
        raw = raw.replace(space, " ")
    return " ".join(raw.split())


def reader(document):
    content = document if isinstance(document, bytes) else document.content
    return PdfReader(io.BytesIO(content))


def fonts(pdf):
    """Every font of every page, with whether its file is inside."""
    found = {}
    for page in pdf.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            descendant = font.get_object()["/DescendantFonts"][0].get_object()
            descriptor = descendant["/FontDescriptor"].get_object()
            found[str(descendant["/BaseFont"])] = any(key.startswith("/FontFile") for key in descriptor)
    return found


class TestInvoice:
    def test_says_all_that_an_invoice_says(self, invoice_sheet):
        document = render_invoice(invoice_sheet)
        read = text(document)
        for expected in (
            "Ville de Démo", "1 place de la Mairie", "RÉGIE PÉRISCOLAIRE", "Mme MARTIN Céline",
            "Facture n° 2025-010-000314", "2025-TS-00-1000314", "du 01/10/2025 au 31/10/2025",
            "25/11/2025", "REPAS MATERNELLE", "16", "2,60 €", "41,60 €", "15,27 €",
            "Total à payer 1 234,56 €", "25 novembre 2025", "Par chèque à l’ordre",
            "https://demo.example/ville", "Régie prolongée de recettes.",
        ):  # fmt: skip
            assert expected in read, expected
        assert (document.name, document.media_type) == (
            "facture-2025-010-000314.pdf", "application/pdf",
        )  # fmt: skip
        assert len(reader(document).pages) == 1

    def test_what_was_paid_lowers_what_is_due_everywhere(self, invoice_sheet):
        paper = compose_invoice(replace(invoice_sheet, paid=100000))
        read = text(paper.document())
        assert "Total de la facture 1 234,56 €" in read
        assert "Déjà réglé −1 000,00 €" in read
        assert "Reste à payer 234,56 €" in read
        assert "Merci de régler 234,56 €" in read

    def test_the_coupon_carries_the_checked_reference_and_the_balance(self, invoice_sheet):
        paper = compose_invoice(replace(invoice_sheet, paid=100000))
        read = text(paper.document())
        code = coupon_code("ville-de-demo", "PERISCOLAIRE", "2025-010-000314", 23456)
        assert escape(qr_image(code)) in paper.html
        assert escape(qr_image(invoice_sheet.payment_url)) in paper.html
        assert f"2025-010-000314 / {check_character('2025-010-000314')}" in read
        assert "À détacher" in read
        assert coupon_code("ville-de-demo", "PERISCOLAIRE", "A|1", 5) == (
            f"ville-de-demo|PERISCOLAIRE|A|1|{check_character('A|1')}|5"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"paid": 123456},
            {"paid": 999999},
            {"debited_on": date(2025, 11, 20)},
            {"coupon": None},
            {"kind": InvoiceKind.CREDIT_NOTE, "amount": -1200},
        ],
    )
    def test_no_coupon_where_no_cheque_is_wanted(self, invoice_sheet, change):
        assert "À détacher" not in text(render_invoice(replace(invoice_sheet, **change)))

    def test_a_settled_invoice_asks_for_nothing(self, invoice_sheet):
        read = text(render_invoice(replace(invoice_sheet, paid=123456)))
        assert "Cette facture est réglée" in read
        assert "Payer en ligne" not in read

    def test_a_direct_debit_says_so(self, invoice_sheet):
        read = text(render_invoice(replace(invoice_sheet, debited_on=invoice_sheet.due_on)))
        assert "sera prélevée sur votre compte : 1 234,56 €" in read
        assert "Payer en ligne" not in read

    def test_a_credit_note_names_what_it_corrects(self, invoice_sheet):
        document = render_invoice(
            replace(
                invoice_sheet,
                kind=InvoiceKind.CREDIT_NOTE,
                origin_number="2025-009-000111",
                amount=-1200,
                lines=(InvoiceSheetLine("RÉGULARISATION", -1200),),
            )
        )
        read = text(document)
        assert "Avoir n° 2025-010-000314" in read
        assert "corrige la facture n° 2025-009-000111" in read
        assert "Montant de l’avoir −12,00 €" in read
        assert "Date d’échéance" not in read
        assert document.name == "avoir-2025-010-000314.pdf"

    def test_an_invoice_without_lines_prints_its_label(self, invoice_sheet):
        read = text(render_invoice(replace(invoice_sheet, lines=())))
        assert "CANTINE ET GARDERIE OCTOBRE 2025 1 234,56 €" in read
        assert "Quantité" not in read
        assert "Enfant" not in read

    def test_two_hundred_lines_run_over_pages_under_the_same_heads(self, invoice_sheet):
        lines = tuple(InvoiceSheetLine(f"SÉANCE {rank}", rank, "Léa") for rank in range(1, 201))
        document = render_invoice(replace(invoice_sheet, lines=lines))
        read = pages(document)
        assert len(read) >= 5
        for number, page in enumerate(read, start=1):
            if "SÉANCE" in page:
                assert "Prestation" in page
            if number > 1:
                assert f"Facture n° 2025-010-000314 {number} / {len(read)}" in page
        for rank in range(1, 201):
            assert sum(f"SÉANCE {rank} " in page for page in read) == 1, rank
        assert ["À détacher" in page for page in read] == [False] * (len(read) - 1) + [True]

    @pytest.mark.parametrize("count", [1, 6, 8, 10, 12, 14, 15, 16, 17, 18, 20, 21, 24])
    def test_the_coupon_covers_no_line(self, invoice_sheet, count):
        """Wherever the lines end, the coupon is at the foot of a page, below all the rest."""
        lines = tuple(InvoiceSheetLine(f"SÉANCE {rank}", rank) for rank in range(count))
        pdf = reader(render_invoice(replace(invoice_sheet, lines=lines)))
        whole = [clean(page.extract_text()) for page in pdf.pages]
        for once in ("Total à payer", "Payer en ligne", "Payer autrement", "prolongée"):
            assert sum(page.count(once) for page in whole) == 1
        last = pdf.pages[-1]
        heights = {"coupon": 0.0, "legal": 1000.0}

        def visit(piece, _matrix, text_matrix, _font, _size):
            # Text positions are in points, from the top of the page in WeasyPrint's matrix.
            if "détacher" in piece:
                heights["coupon"] = text_matrix[5] * _matrix[3] + _matrix[5]
            if "prolongée" in piece:
                heights["legal"] = text_matrix[5] * _matrix[3] + _matrix[5]

        last.extract_text(visitor_text=visit)
        assert 100 < heights["coupon"] < 200
        assert heights["legal"] > heights["coupon"] + 10

    def test_long_names_are_broken_not_lost(self, invoice_sheet):
        name = "de La Rochefoucauld-Montmorency-Luxembourg " * 3
        word = "ANTICONSTITUTIONNELLEMENT" * 6
        document = render_invoice(
            replace(
                invoice_sheet,
                debtor=Addressee(name, (word,)),
                label=word,
                lines=(InvoiceSheetLine(word, 1, name, Decimal(1), 1),),
            )
        )
        read = text(document).replace(" ", "").replace("-", "")
        assert read.count(word) >= 3
        assert clean(name).replace(" ", "").replace("-", "") in read

    def test_imported_text_is_never_html(self, invoice_sheet):
        document = render_invoice(
            replace(
                invoice_sheet,
                label=HOSTILE,
                debtor=Addressee(HOSTILE, (HOSTILE,)),
                lines=(InvoiceSheetLine(HOSTILE, 1, HOSTILE),),
                pay_otherwise=(HOSTILE,),
                legal=(HOSTILE,),
            )
        )
        read = text(document).replace(" ", "")
        assert read.count("<script>x</script>") == 8
        assert "&amp;" in read
        assert "{{7*7}}" in read

    def test_in_english(self, invoice_sheet):
        pdf = reader(render_invoice(replace(invoice_sheet, language="en")))
        assert pdf.trailer["/Root"]["/Lang"] == "en"
        assert "1,234.56" in pdf.pages[0].extract_text()

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co")), max_size=30))
    def test_any_text_prints(
        self, invoice_sheet, papers_are_accessible, quiet_weasyprint, anything
    ):
        """Letters that no font of the machine has are drawn as boxes, which PDF/UA refuses."""
        papers_are_accessible |= {"PDFUA1-NOTDEF-GLYPH-001", "PDFUA1-FONT-UNICODE-MAPPING-001"}
        render_invoice(replace(invoice_sheet, label=anything, debtor=Addressee(anything)))
        quiet_weasyprint.clear()


class TestReceipt:
    def test_says_all_that_a_receipt_says(self, receipt_sheet):
        document = render_receipt(receipt_sheet)
        read = text(document)
        for expected in (
            "Reçu de paiement", "n° PERISCOLAIRE-2025-000042", "RÉGIE PÉRISCOLAIRE",
            "Jamie BOND", "Paiement en ligne", "PAYFIP000000002882215", "A12345",
            "2025-010-000314", "2025-TS-00-1000314", "112,87 €", "92,87 €", "GARDERIE",
            "Trop-perçu, gardé à votre crédit par la régie 7,13 €", "Total réglé 140,00 €",
        ):  # fmt: skip
            assert expected in read, expected
        assert document.name == "recu-PERISCOLAIRE-2025-000042.pdf"

    @pytest.mark.parametrize("language", ["fr", "en"])
    def test_says_what_is_left_of_each_invoice_and_in_all(self, receipt_sheet, language):
        sheet = replace(
            receipt_sheet,
            language=language,
            excess=0,
            shares=(
                ReceiptShare("314", "CANTINE", 9287, 11287, left_due=2000),
                ReceiptShare("315", "GARDERIE", 4000, 4000, left_due=0),
            ),
            together=(Together(1500, "other:Bons CAF", "PERISCOLAIRE-2025-000043"),),
        )
        read = text(render_receipt(sheet))
        assert read.count("20,00" if language == "fr" else "€20.00") == 3
        assert "Bons CAF" in read
        assert "PERISCOLAIRE-2025-000043" in read
        words = "Il ne reste rien" if language == "fr" else "Nothing is left"
        assert words not in read
        paid = replace(sheet, shares=sheet.shares[1:])
        assert words in text(render_receipt(paid))
        # Nobody noted it at the time: nothing is said.
        assert "Reste dû" not in text(render_receipt(receipt_sheet))

    def test_the_moment_is_french_legal_time(self, receipt_sheet):
        assert "1er août 2025 à 0 h 45" in text(render_receipt(receipt_sheet))

    def test_a_payment_that_came_back_proves_nothing(self, receipt_sheet):
        document = render_receipt(
            replace(receipt_sheet, reversal=Reversal(date(2025, 12, 1), "chèque sans provision"))
        )
        read = text(document)
        assert "Ce paiement a été annulé le 1er décembre 2025." in read
        assert "Motif : chèque sans provision" in read
        assert "preuve" not in read

    @pytest.mark.parametrize("language", ["fr", "en"])
    def test_an_order_of_a_direct_debit_is_no_payment_that_came(self, receipt_sheet, language):
        order = replace(receipt_sheet, means=Means.ONLINE_DEBIT, language=language)
        read = text(render_receipt(order))
        said = {
            "fr": ("Reçu d’un ordre de prélèvement", "n’est pas encore reçue", "Total à prélever", "Date de l’ordre"),
            "en": ("Receipt of a direct debit order", "not been received yet", "Total to be debited", "Date of the order"),
        }[language]
        for expected in (*said, "PAYFIP000000002882215"):
            assert expected in read, expected
        for wrong in ("avoir reçu", "have received", "Total réglé", "en est la preuve"):
            assert wrong not in read

    @pytest.mark.parametrize("means", list(Means))
    def test_each_means_has_a_name(self, means):
        assert means_label(means) != means.value
        with use("en"):
            assert means_label(means)


class TestCertificate:
    def test_counts_by_child_and_states_the_rule(self, certificate_sheet):
        read = text(render_certificate(certificate_sheet))
        for expected in (
            "Attestation fiscale", "Mme MARTIN Céline a payé en 2025",
            "la somme de 60,00 €", "Léa 30,00 €", "Noé 30,00 €", "Total 60,00 €",
            "10/01/2025 Léa GARDERIE 2025-001-000001 10,00 €", "nés en 2019 ou après",
            "3 500,00 € par enfant, ou 1 750,00 €", "Fait à Démoville, le 2 avril 2026",
        ):  # fmt: skip
            assert expected in read, expected
        assert "provisoire" not in read

    def test_a_child_of_six_is_shown_but_not_counted(self, certificate_sheet):
        payer = replace(certificate_sheet.payers[0], too_old=frozenset({"Noé"}))
        read = text(render_certificate(replace(certificate_sheet, payers=(payer,))))
        assert "la somme de 30,00 €" in read
        assert "Noé (six ans ou plus au 1er janvier 2025 : non compté) 30,00 €" in read

    def test_each_payer_has_a_letter(self, certificate_sheet):
        rows = certificate_sheet.payers[0].rows
        payers = (
            CertifiedPayer(Addressee("Parent A"), rows[:1]),
            CertifiedPayer(Addressee("Parent B"), rows[1:]),
        )
        read = pages(render_certificate(replace(certificate_sheet, payers=payers)))
        assert ["Parent A" in page for page in read] == [True, False]
        assert ["Parent B" in page for page in read] == [False, True]

    def test_a_running_year_is_provisional(self, certificate_sheet):
        read = text(render_certificate(replace(certificate_sheet, final=False)))
        assert "Document provisoire : l’année 2025 n’est pas finie." in read


class TestSetting:
    def papers(self, invoice_sheet, receipt_sheet, certificate_sheet):
        return (
            render_invoice(invoice_sheet),
            render_receipt(receipt_sheet),
            render_certificate(certificate_sheet),
        )

    def test_tagged_titled_and_in_a_language(self, invoice_sheet, receipt_sheet, certificate_sheet):
        for document in self.papers(invoice_sheet, receipt_sheet, certificate_sheet):
            pdf = reader(document)
            root = pdf.trailer["/Root"]
            assert root["/Lang"] == "fr"
            assert root["/MarkInfo"]["/Marked"]
            assert root["/ViewerPreferences"]["/DisplayDocTitle"]
            assert pdf.metadata.title.endswith("– Ville de Démo")
            assert pdf.metadata.author == "Ville de Démo"
            assert b"pdfuaid" in root["/Metadata"].get_object().get_data()
            assert pdf.pages[0].mediabox.width == pytest.approx(595.3, abs=0.1)

    def test_only_our_fonts_and_all_embedded(self, invoice_sheet, receipt_sheet, certificate_sheet):
        for document in self.papers(invoice_sheet, receipt_sheet, certificate_sheet):
            found = fonts(reader(document))
            assert all(found.values())
            assert all("Preau" in name for name in found), found

    def test_french_and_latin_names_stay_in_our_fonts(self):
        html = "<h1>Œuf à Ÿ – « ça » №</h1><p>Šárka Łukasz İbrahim Nguyễn Ștefan 1\u202f234,56\u00a0€"
        assert all("Preau" in name for name in fonts(reader(render_pdf(html, title="t", language="fr"))))

    def test_metadata_are_escaped(self):
        pdf = reader(render_pdf("<p>x</p>", title=HOSTILE, language="fr", author=HOSTILE))
        assert pdf.metadata.title == HOSTILE
        assert pdf.metadata.author == HOSTILE

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:9/logo.png",
            "https://127.0.0.1:9/logo.png",
            "file:///etc/passwd",
            "ftp://127.0.0.1/x",
            "preau-font:nothing.ttf",
        ],
    )
    def test_nothing_is_fetched(self, url, quiet_weasyprint):
        html = f'<p>avant<img alt="" src="{url}">après</p><link rel="stylesheet" href="{url}">'
        assert "avant" in text(render_pdf(html, title="t", language="fr"))
        refused = [record.getMessage() for record in quiet_weasyprint.records]
        assert refused
        assert all("disallowed protocol" in line for line in refused)
        quiet_weasyprint.clear()

    def test_a_vector_logo_reaches_nothing_either(self, invoice_sheet, quiet_weasyprint):
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><image href="file:///etc/hostname" width="9" height="9"/></svg>'
        town = replace(invoice_sheet.town, logo=Logo(svg, "image/svg+xml"))
        assert "Ville de Démo" in text(render_invoice(replace(invoice_sheet, town=town)))
        quiet_weasyprint.clear()

    def test_a_bitmap_logo_or_none(self, invoice_sheet):
        for logo in (Logo(PNG, "image/png"), None):
            town = replace(invoice_sheet.town, logo=logo)
            assert "Ville de Démo" in text(render_invoice(replace(invoice_sheet, town=town)))

    def test_a_plugin_may_bring_a_style(self):
        html = "<style>@page { size: A5 }</style><h1>Bordereau</h1>"
        pdf = reader(render_pdf(html, title="Bordereau", language="fr", created=date(2025, 1, 2)))
        assert pdf.pages[0].mediabox.width == pytest.approx(419.5, abs=0.1)
        assert pdf.metadata.creation_date.date() == date(2025, 1, 2)

    def test_prints_without_the_optional_library_too(self, monkeypatch):
        """libharfbuzz-subset is a bonus: fontTools cuts the fonts without it."""
        monkeypatch.setattr("weasyprint.pdf.fonts.harfbuzz_subset", None)
        pdf = reader(render_pdf("<h1>Reçu</h1>", title="t", language="fr"))
        assert clean(pdf.pages[0].extract_text()) == "Reçu"
        assert all(fonts(pdf).values())

    def test_the_same_data_give_the_same_bytes_in_any_process(self, invoice_sheet):
        assert harfbuzz_subset, "fontTools writes the time into the fonts that it cuts"
        once = render_invoice(invoice_sheet).content
        assert render_invoice(invoice_sheet).content == once
        html = compose_invoice(invoice_sheet).html
        program = (
            "import sys, hashlib; from core.platform.documents.pdf import render_pdf\n"
            "print(hashlib.sha256(render_pdf(sys.stdin.read(), title='t', language='fr')).hexdigest())"
        )
        hashes = {
            subprocess.run(
                [sys.executable, "-c", program],
                input=html,
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("1", "2")
        }
        assert len(hashes) == 1
