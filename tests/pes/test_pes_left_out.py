"""Pieces that ask nothing of a family, and those of other services."""

from __future__ import annotations

import pytest
from pes_writing import HEAD, RECETTE, block, line, pes, piece, slip, write

from core.plugin import InvoiceKind, InvoiceRecord, SourceFile, SourceNotice, SourceProblem
from plugins.pes_recette import PesSettings, Product
from plugins.pes_recette.source import PesSource

COMPANY = {"RefTiers": "T77", "CatTiers": "60", "Nom": "SARL LES PINS", "Prenom": ""}
LISTED = {"products": {"RS01": Product(regie="CANTINE")}, "regie": ""}


@pytest.fixture
def read(tmp_path):
    def reading(content, **settings):
        path = write(tmp_path, content)
        source = PesSource(PesSettings(**({"regie": "CANTINE"} | settings)))
        return list(source.read(SourceFile(path, path.name, 0)))

    return reading


def titre(kind, nature, number=832, **more):
    places = {"NumDette": "", "NumeroFacture": "", "NatPce": nature}
    return piece(line(**more), kind=kind, number=number, **places)


@pytest.mark.parametrize(
    ("bord", "kind", "nature"),
    [
        ("01", "01", "01"), ("01", "01", "02"), ("01", "01", "07"), ("01", "01", "08"),
        ("01", "01", "11"), ("01", "02", "07"), ("01", "02", "08"), ("01", "09", "01"),
        ("01", "10", "01"), ("03", "12", "01"), ("06", "15", "01"), ("01", "01", ""),
    ],
)  # fmt: skip
def test_debts_of_families_are_invoices(read, bord, kind, nature):
    (found,) = read(pes(slip(titre(kind, nature), kind=bord, total="41.60")))
    assert (found.amount, found.kind) == (4160, InvoiceKind.INVOICE)


@pytest.mark.parametrize(
    ("bord", "kind", "nature"), [("02", "02", "06"), ("02", "01", "06"), ("06", "15", "06")]
)
def test_cancellations_and_reductions_are_credit_notes(read, bord, kind, nature):
    (found,) = read(pes(slip(titre(kind, nature), kind=bord, total="41.60")))
    assert (found.amount, found.kind) == (-4160, InvoiceKind.CREDIT_NOTE)


@pytest.mark.parametrize(
    ("bord", "kind", "nature"),
    [
        ("01", "03", "01"), ("01", "04", "01"), ("01", "05", "01"), ("01", "06", "01"),
        ("01", "07", "01"), ("01", "11", "01"), ("01", "14", "01"), ("01", "01", "03"),
        ("01", "01", "04"), ("01", "01", "05"), ("01", "01", "09"), ("02", "11", "10"),
        ("01", "01", "18"),
    ],
)  # fmt: skip
def test_what_is_no_debt_of_a_family_is_left_out_counted_and_named(read, bord, kind, nature):
    """Orders within the accounts, money that came already, totals of roles without a debtor."""
    content = pes(slip(titre(kind, nature), kind=bord, total="41.60"))
    (notice,) = read(content)
    assert isinstance(notice, SourceNotice)
    assert (notice.left_out, notice.amount) == (True, 4160)
    assert "9832" in notice.value


@pytest.mark.parametrize(
    ("bord", "kind", "nature"),
    [("01", "08", "01"), ("01", "13", "01"), ("04", "01", "01"), ("05", "01", "01"),
     ("06", "01", "01"), ("01", "15", "01"), ("01", "01", "12")],
)  # fmt: skip
def test_what_the_format_does_not_know_is_refused(read, bord, kind, nature):
    (problem, *_rest) = read(pes(slip(titre(kind, nature), kind=bord, total="41.60")))
    assert isinstance(problem, SourceProblem)
    assert problem.column == "TypPce"


def test_money_that_came_before_its_titre_is_not_asked_for_again(read):
    paid = block("Recouvrement", {"TypFlux": "01", "IdEncaissement": "77", "MtReco": "41.60"})
    made = titre("01", "01").replace("</LigneDePiece>", f"{paid}</LigneDePiece>")
    (notice,) = read(pes(slip(made, kind="01", total="41.60")))
    assert notice.left_out


def test_products_that_are_not_listed_are_left_out_and_the_sums_still_hold(read):
    own, rent = titre("01", "01"), titre("01", "01", number=833, product="LOYE", debtor=COMPANY)
    invoice, notice = read(pes(slip(own, rent, kind="01", total="83.20")), **LISTED)
    assert (invoice.regie, invoice.amount) == ("CANTINE", 4160)
    assert (notice.left_out, notice.amount, "LOYE" in notice.value) == (True, 4160, True)
    assert "PINS" not in repr(notice)
    wrong = read(pes(slip(own, rent, kind="01", total="41.60")), **LISTED)
    assert [one.column for one in wrong if isinstance(one, SourceProblem)] == ["MtBordHt"]


def test_nothing_else_of_what_is_left_out_is_looked_at(read):
    rent = titre("01", "01", product="LOYE", debtor={"RefTiers": "", "TypTiers": "04"})
    (notice,) = read(pes(slip(rent, kind="01", total="41.60", DteBordEm="1999-01-01")), **LISTED)
    assert notice.left_out


def test_a_company_s_debt_is_no_family_s_where_its_product_is_not_listed(read):
    content = pes(slip(titre("01", "01", debtor=COMPANY), kind="01", total="41.60"))
    (notice,) = read(content)
    assert notice.left_out
    (invoice,) = read(content, **LISTED)
    assert invoice.family_code == "T77", "a company that books meals, as the town says"


def test_a_default_regie_may_be_for_listed_products_only(read):
    both = titre("01", "01"), titre("01", "01", 833, product="ZZ99")
    content = pes(slip(*both, kind="01", total="83.20"))
    settings = {"products": {"RS01": Product()}, "regie": "CANTINE"}
    assert [one.regie for one in read(content, **settings)] == ["CANTINE", "CANTINE"]
    invoice, notice = read(content, only_listed=True, **settings)
    assert (invoice.regie, notice.left_out) == ("CANTINE", True)


def test_a_line_of_another_service_stays_in_a_family_s_own_debt(read):
    """One debt is paid whole: its reference at PayFiP has one amount."""
    made = piece(line("41.60"), line("15.00", "CLEF PERDUE", product="ZZ99", rank=2))
    (invoice,) = read(pes(slip(made, total="56.60")), **LISTED)
    assert (invoice.amount, len(invoice.lines)) == (5660, 2)


def test_of_a_collective_titre_other_services_debtors_are_left_out(read):
    lines = (line(), line("15.00", product="LOYE", debtor=COMPANY, rank=2))
    made = piece(*lines, kind="01", NumDette="", NumeroFacture="")
    invoice, notice = sorted(
        read(pes(slip(made, kind="01", total="56.60")), **LISTED), key=lambda one: -one.amount
    )
    assert (invoice.amount, notice.amount, notice.left_out) == (4160, 1500, True)


# --- Receipts beside expenses --------------------------------------------------------------------

EXPENSES = (
    "<PES_DepenseAller><EnTeteDepense><IdVer V='2'/></EnTeteDepense><Bordereau><BlocBordereau>"
    "<Exer V='2026'/><IdBord V='7'/><DteBordEm V='2026-11-03'/><TypBord V='01'/><NbrPce V='9'/>"
    "<MtBordHT V='10.00'/></BlocBordereau><Piece><BlocPiece><InfoPce><IdPce V='1'/><TypPce V='01'/>"
    "<NatPce V='01'/></InfoPce></BlocPiece><LigneDePiece><BlocLignePiece><InfoLignePce>"
    "<IdLigne V='1'/><MtHT V='10.00'/></InfoLignePce></BlocLignePiece></LigneDePiece></Piece>"
    "</Bordereau></PES_DepenseAller>"
)


@pytest.mark.parametrize("order", [1, -1])
def test_expenses_beside_receipts_are_passed_over(read, order):
    receipts = f"<PES_RecetteAller>{RECETTE}{slip(piece(line()), total='41.60')}</PES_RecetteAller>"
    both = "".join([EXPENSES, receipts][::order])
    (invoice,) = read(f"{HEAD}{both}</n:PES_Aller>")
    assert isinstance(invoice, InvoiceRecord)


def test_a_file_of_expenses_only_is_no_file_of_receipts(read):
    (problem,) = read(f"{HEAD}{EXPENSES}</n:PES_Aller>")
    assert isinstance(problem, SourceProblem)
