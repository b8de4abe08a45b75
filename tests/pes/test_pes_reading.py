"""What PES says, and what becomes of it."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pes_writing import (
    RECETTE,
    attachment,
    block,
    line,
    pes,
    piece,
    refers_to,
    slip,
    write,
)  # fmt: skip

from core.plugin import InvoiceKind, InvoiceRecord, SourceFile, SourceProblem, TaxKind
from plugins.pes_recette import PesSettings, Product
from plugins.pes_recette.source import PesSource

SETTINGS = PesSettings(
    products={
        "RS01": Product(regie="CANTINE", tax=TaxKind.MEAL),
        "GA01": Product(regie="GARDERIE", tax=TaxKind.CARE),
    }
)
PDF = b"%PDF-1.7\nfacture\n%%EOF\n"
ORMC = (line("41.60"), line("15.27", "LEA - GARDERIE", product="GA01", rank=2))


@pytest.fixture
def read(tmp_path):
    def reading(content, settings=SETTINGS):
        path = write(tmp_path, content)
        return list(PesSource(settings).read(SourceFile(path, path.name, path.stat().st_size)))

    return reading


def problems(items):
    return [(item.column, item.value) for item in items if isinstance(item, SourceProblem)]


def test_an_ormc_invoice(read):
    (invoice,) = read(
        pes(slip(piece(*ORMC, DebFact="2026-10-01", FinFact="2026-10-31"), total="56.87"))
    )
    assert invoice == InvoiceRecord(
        regie="CANTINE", number="2026-010-000314", family_code="F01207",
        label="FACTURE 314 OCTOBRE 2026", amount=5687, issued_on=date(2026, 11, 3),
        due_on=date(2026, 12, 5), fiscal_year=2026, debtor="MARTIN CÉLINE",
        address=("1 RUE DU LAVOIR", "99000 DEMOVILLE"), period_start=date(2026, 10, 1),
        period_end=date(2026, 10, 31), lines=invoice.lines, line_number=invoice.line_number,
        piece_keys=("pièce/2026/9314", "dette/2026/1/314", "facture/2026/2026-010-000314"),
    )  # fmt: skip
    assert [(one.rank, one.activity, one.tax_kind, one.amount) for one in invoice.lines] == [
        (1, "LEA - REPAS", TaxKind.MEAL, 4160), (2, "LEA - GARDERIE", TaxKind.CARE, 1527),
    ]  # fmt: skip


def test_a_titre_with_vat_and_no_number_of_its_own(read):
    (invoice,) = read(
        pes(
            slip(
                piece(line("100.00", vat="20.00"), kind="01", NumeroFacture="", NumDette=""),
                kind="01",
                total="100.00",
                MtBordTVA="20.00",
                DteAsp="",
            )
        )
    )
    assert invoice.amount == 12000
    assert invoice.number == "2026-42-9314"
    assert invoice.due_on == date(2026, 12, 3)


def test_the_reference_is_made_only_when_the_town_says_how(read):
    content = pes(slip(piece(*ORMC), total="56.87"))
    assert read(content)[0].payment_reference == ""
    told = SETTINGS.model_copy(update={"income_code": "TS"})
    assert read(content, told)[0].payment_reference == "2026-TS-00-1000314"


@pytest.mark.parametrize("name", ["InfoPrelevement", "InfoPrelevementSEPA"])
@pytest.mark.parametrize("remitted_by", ["01", "02"])
def test_a_direct_debit(read, name, remitted_by):
    mandate = block(name, {"NatPrel": remitted_by, "DtePrel": "2026-11-20"})
    (invoice,) = read(pes(slip(piece(line(inside=mandate)), total="41.60")))
    assert invoice.direct_debit


@pytest.mark.parametrize(("amount", "total"), [("41.60", "41.60"), ("-41.60", "-41.60")])
def test_a_cancellation_gives_money_back_whichever_sign_it_is_written_with(read, amount, total):
    origin = block("RattachPiece", {"NatPceOrig": "01", "ExerRat": "2026", "IdPceOrig": "9314"})
    (invoice,) = read(
        pes(slip(piece(line(amount, inside=origin), kind="02"), kind="02", total=total))
    )
    assert invoice.kind is InvoiceKind.CREDIT_NOTE
    assert invoice.amount == -4160
    assert [one.amount for one in invoice.lines] == [-4160]
    assert invoice.refers_to[0] == "pièce/2026/9314"


def test_a_piece_that_comes_to_less_than_nothing_is_a_credit_note(read):
    (invoice,) = read(pes(slip(piece(line("10.00"), line("-12.50", rank=2)), total="-2.50")))
    assert (invoice.kind, invoice.amount) == (InvoiceKind.CREDIT_NOTE, -250)


@pytest.mark.parametrize("name", ["RefTiers", "Nom", "Prenom"])
def test_all_lines_of_a_piece_have_one_debtor(read, name):
    items = read(pes(slip(piece(line(), line("1.00", debtor={name: "AUTRE"})), total="42.60")))
    assert problems(items) == [(name, "AUTRE")]


@pytest.mark.parametrize(
    ("told", "column"),
    [
        ({"total": "56.88"}, "MtBordHt"),
        ({"total": "56.87", "MtBordTVA": "1.00"}, "MtBordTVA"),
        ({"total": "56.87", "count": 2}, "NbrPce"),
        ({"total": ""}, "MtBordHt"),
        ({"total": "56,87"}, "MtBordHt"),
    ],
)
def test_a_slip_whose_sums_are_not_its_pieces_is_a_problem(read, told, column):
    items = read(pes(slip(piece(*ORMC), **told)))
    assert [name for name, _value in problems(items)] == [column]


def test_each_slip_has_sums_of_its_own(read):
    first, second = (slip(piece(line(), number=n), total="41.60") for n in (1, 2))
    assert [item.amount for item in read(pes(first, second))] == [4160, 4160]


@pytest.mark.parametrize(
    ("made", "column"),
    [
        (piece(line("4160"), line("x")), "MtHT"),
        (piece(line("41.605")), "MtHT"),
        (piece(line("41.60"), kind="99"), "TypPce"),
        (piece(), "LigneDePiece"),
        (piece(line(debtor={"RefTiers": ""})), "RefTiers"),
        (piece(line(), DebFact="2026-13-01"), "DebFact"),
        (piece(line(), NumeroFacture="", NumDette="", IdPce=""), "IdPce"),
    ],
)
def test_what_is_wrong_is_named(read, made, column):
    assert column in [name for name, _value in problems(read(pes(slip(made, total="41.60"))))]


def test_another_town_s_file_is_refused(read):
    content = pes(slip(piece(*ORMC), total="56.87"))
    told = SETTINGS.model_copy(update={"siret": "21990001500099"})
    assert ("IdColl", "21990001500012") in problems(read(content, told))
    assert read(content, SETTINGS.model_copy(update={"siret": "21990001500012"}))[0].amount == 5687


def test_another_version_is_refused_and_nothing_else_is_read(read):
    recette = RECETTE.replace('<IdVer V="2"/>', '<IdVer V="3"/>')
    assert problems(read(pes(slip(piece(*ORMC), total="56.87"), recette=recette))) == [
        ("IdVer", "3")
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_the_pdf_that_came_with_an_invoice(read, packed):
    files = [
        attachment("A", b"%PDF-other", kind="011"),
        attachment("B", gzip.compress(PDF) if packed else PDF, name="F314.PDF"),
        attachment("C", b"not a pdf"),
    ]
    inside = refers_to("A") + refers_to("gone") + refers_to("C") + refers_to("B")
    (invoice,) = read(pes(slip(piece(*ORMC, inside=inside), total="56.87"), attachments=files))
    assert (invoice.document.name, invoice.document.read()) == ("F314.PDF", PDF)


def test_a_bomb_among_the_attachments_is_not_unpacked(read):
    files = [attachment("A", gzip.compress(b"%PDF-" + bytes(64 * 2**20)))]
    items = read(pes(slip(piece(*ORMC, inside=refers_to("A")), total="56.87"), attachments=files))
    assert problems(items)
    assert not [item for item in items if isinstance(item, InvoiceRecord)]


def test_a_piece_without_end_is_not_kept_in_memory(read):
    items = read(pes(slip(piece(*(line() for _n in range(1001))), total="41641.60")))
    assert problems(items) == [("", "")]


TAGS = st.from_regex(r"JVS_[A-Z][A-Za-z]{0,8}", fullmatch=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TAGS, st.sampled_from(["BlocPiece", "InfoLignePiece", "InfoTiers",
       "BlocBordereau", "Adresse", "EnTetePES"]), st.booleans()), max_size=6))  # fmt: skip
def test_unknown_elements_change_nothing(tmp_path_factory, strangers):
    content = pes(slip(piece(*ORMC), total="56.87"))
    path = write(tmp_path_factory.mktemp("pes"), content)
    source, file = PesSource(SETTINGS), SourceFile(path, "f.xml", 0)
    plain = list(source.read(file))
    for tag, where, deep in strangers:
        inside = f'<{tag}><Nom V="X"/></{tag}>' if deep else ""
        stranger = f'<{tag} V="1">{inside}</{tag}>'
        content = content.replace(f"<{where}>", f"<{where}>{stranger}")
    write(path.parent, content)
    assert list(source.read(file)) == plain


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_every_cent_arrives(tmp_path_factory, amounts):
    written = [str(Decimal(cents) / 100) for cents in amounts]
    total = str(Decimal(sum(amounts)) / 100)
    lines = [line(amount, rank=rank) for rank, amount in enumerate(written, start=1)]
    path = write(tmp_path_factory.mktemp("pes"), pes(slip(piece(*lines), total=total)))
    (invoice,) = PesSource(SETTINGS).read(SourceFile(path, "f.xml", 0))
    assert invoice.amount == sum(amounts)
    assert [one.amount for one in invoice.lines] == amounts
