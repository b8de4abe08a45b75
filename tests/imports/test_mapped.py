"""Lists of billing programs, read by a layout that a régie made."""

import io
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.context import RegieInfo
from core.api.invoices import InvoiceRecord, SourceFile, SourceProblem
from core.domain.money import AmountError, parse_amount
from core.imports.format.mapped import InvoiceLayout, MappedSource, amount, day, titles_of

REGIES = (RegieInfo("PERISCOLAIRE", "Régie périscolaire", collects=True),)
TITLES = {
    "numero": "numero", "code_famille": "code_client", "libelle": "lot", "date_facture": "date_d_edition",
    "montant": "total", "debiteur": "famille", "periode_debut": "date_de_debut", "periode_fin": "date_de_fin",
}  # fmt: skip
CONSTANTS = {"regie": "PERISCOLAIRE", "date_echeance": "30/11/2026"}
HEADER = "ID,Date d'édition,Numéro,Date de début,Date de fin,Famille,Code client,Total,Solde,Lot"
ROW = '12,03/11/2026,P-314,01/10/2026,31/10/2026,MARTIN Céline,F01207,"56,87 €","56,87 €",Octobre 2026'
TOTAL = ',,,,,TOTAL,,"56,87 €",,'


@pytest.fixture
def read(tmp_path):
    def reading(content, layout=None, name="liste.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        layout = layout or InvoiceLayout(TITLES, CONSTANTS, leave_out=("Total",))
        return list(MappedSource("layout-1", "Liste", layout, REGIES).read(SourceFile(path, name, 1)))

    return reading


def test_a_list_enters_as_it_is(read):
    found, total = read(f"Liste des factures\n\n{HEADER}\n{ROW}\n{TOTAL}\n")
    assert isinstance(found, InvoiceRecord), found
    assert (total.left_out, total.amount, total.line) == (True, 5687, 5), "told, with what it comes to"
    assert (found.regie, found.number, found.family_code, found.amount) == ("PERISCOLAIRE", "P-314", "F01207", 5687)
    assert (found.issued_on, found.due_on) == (date(2026, 11, 3), date(2026, 11, 30))
    assert (found.label, found.debtor, found.line_number) == ("Octobre 2026", "MARTIN Céline", 4)


@pytest.mark.parametrize("codec", ["utf-8-sig", "cp1252", "iso8859-15", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator_and_encoding(read, codec, separator):
    row = ROW.replace('"56,87 €"', "56.87 €")
    content = f"{HEADER}\n{row}\n".replace(",", separator).encode(codec)
    (found,) = read(content)
    assert isinstance(found, InvoiceRecord), found
    assert (found.amount, found.debtor) == (5687, "MARTIN Céline")


def test_a_workbook_enters_too(read):
    book = openpyxl.Workbook()
    book.active.append(["Liste"])
    book.active.append(HEADER.split(","))
    book.active.append([12, date(2026, 11, 3), "P-314", date(2026, 10, 1), date(2026, 10, 31), "MARTIN\nCéline", "0001207", 56.87, 0.1 + 0.2, "Octobre 2026"])
    content = io.BytesIO()
    book.save(content)
    (found,) = read(content.getvalue(), name="liste.xlsx")
    assert isinstance(found, InvoiceRecord), found
    assert (found.amount, found.family_code, found.debtor, found.line_number) == (5687, "0001207", "MARTIN Céline", 3)


def workbook(*sheets):
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if not number else book.create_sheet()
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_a_cover_is_passed_over_and_two_lists_are_not_read_as_one(read):
    row = [12, datetime.fromisoformat("2026-11-03T14:05"), "P-314", "01/10/2026", "31/10/2026", "MARTIN", "F01", 56.87, 0, "Octobre"]
    lines = [HEADER.split(","), row]
    content = workbook([["Liste de novembre"]], lines)
    (found,) = read(content, name="liste.xlsx")
    assert (found.amount, found.issued_on) == (5687, date(2026, 11, 3))
    assert titles_of(content) == HEADER.split(",")
    (problem,) = read(workbook(lines, lines), name="liste.xlsx")
    assert "Plusieurs feuilles" in problem.message
    (found,) = read(workbook(lines, lines[:1]), name="liste.xlsx")
    assert found.amount == 5687, "titles over an empty sheet"


def test_a_problem_names_the_files_own_line_and_title(read):
    bad = ROW.replace("03/11/2026", "33/11/2026").replace("P-314", "P-315")
    items = read(f"Liste\n\n{HEADER}\n{ROW}\n\n{bad}\n")
    (problem,) = [item for item in items if isinstance(item, SourceProblem)]
    assert (problem.file, problem.line, problem.column) == ("liste.csv", 6, "Date d'édition")


def test_a_family_is_never_known_by_its_name(read):
    by_name = InvoiceLayout(TITLES | {"code_famille": "famille"}, CONSTANTS)
    (problem,) = read(f"{HEADER}\n{ROW}\n", by_name)
    assert isinstance(problem, SourceProblem)
    assert problem.column == "Famille"


@pytest.mark.parametrize("content", [b"", b"a;b\n1;2\n", b"\x81;", b"PK\x03\x04x", HEADER.replace("Total", "Montant").encode()])
def test_what_does_not_fit_the_layout_is_refused(read, content):
    (problem,) = read(content)
    assert isinstance(problem, SourceProblem)


def test_titles_are_offered_as_they_stand():
    assert titles_of(f"Liste du 3 novembre\n\n{HEADER}\n{ROW}\n".encode()) == HEADER.split(",")


@pytest.mark.parametrize(
    ("text", "form", "cents"),
    [("1.234,56", "thousands_dot", 123456), ("1.234", "thousands_dot", 123400), ("12,5", "thousands_dot", 1250), ("1,234.56", "thousands_comma", 123456),
     ("1,234", "thousands_comma", 123400), ("123456", "cents", 123456), ("-5", "cents", -5), ("7", "cents", 7), ("12.34", "thousands_dot", None),
     ("1.23,45", "thousands_dot", None), ("12,34", "thousands_comma", None), ("56,87", "cents", None), ("", "cents", None)],
)  # fmt: skip
def test_amounts_of_other_forms_have_one_reading(text, form, cents):
    written = amount(text, form)
    if cents is None:
        with pytest.raises(AmountError):
            parse_amount(written + ("" if form == "cents" or not written else "?" if written == text else ""))
    else:
        assert parse_amount(written) == cents


@given(st.integers(-10**9, 10**9))
def test_each_form_says_the_same(cents):
    euros, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    dots = f"{euros:,}".replace(",", ".")
    assert parse_amount(amount(f"{sign}{dots},{rest:02}", "thousands_dot")) == cents
    assert parse_amount(amount(f"{sign}{euros:,}.{rest:02}", "thousands_comma")) == cents
    assert parse_amount(amount(str(cents), "cents")) == cents


@pytest.mark.parametrize(
    ("text", "form", "written"),
    [("11/25/2026", "month_first", "25/11/2026"), ("2026-11-25", "month_first", "2026-11-25"), ("2026-11-25 14:05:00", "house", "2026-11-25"), ("20261125", "compact", "2026-11-25"),
     ("25/11/26", "short", "2026-11-25"), ("25.11.2026", "short", "2026-11-25"), ("25/11/2026", "house", "25/11/2026")],
)  # fmt: skip
def test_days_of_other_forms(text, form, written):
    assert day(text, form) == written


def test_what_is_missing_is_named():
    assert InvoiceLayout({"numero": "n"}).missing == ["regie", "code_famille", "libelle", "date_facture", "date_echeance", "montant"]
    assert InvoiceLayout(TITLES, CONSTANTS).missing == []
    assert InvoiceLayout(TITLES | {"activite": "prestation"}, CONSTANTS).missing == ["nature_fiscale", "montant_ligne"]


def test_a_list_without_the_familys_code_makes_no_layout():
    """Noethysweb's own list of invoices: its families stand there by name only, and no due date."""
    titles = ["ID", "Date d'édition", "Numéro", "Date de début", "Date de fin", "Famille", "Total", "Solde", "Solde actuel", "Lot"]
    rows = ",".join(f'"{one}"' for one in titles) + '\n"12","03/11/2026","P-314","01/10/2026","31/10/2026","MARTIN Céline","56,87 €","56,87 €","56,87 €","Octobre"\n'
    assert titles_of(("\ufeff" + rows).encode()) == titles
    without = InvoiceLayout({name: title for name, title in TITLES.items() if name != "code_famille"}, CONSTANTS)
    assert without.missing == ["code_famille"]


def test_the_list_of_noethys_on_the_desktop(read):
    """A first column without a title, *N°*, and the town's own column of codes put behind."""
    content = (
        "\tDate\tPréfixe\tN°\tFamille\tDate début\tDate fin\tTotal\tRéglé\tSolde\tSolde actuel\tEchéance\tLot\tCode\n"
        "12\t03/11/2026\t\t000314\tMARTIN Céline\t01/10/2026\t31/10/2026\t56.87 €\t0.00 €\t-56.87 €\t-56.87 €\t30/11/2026\tOctobre\tF01207\n"
    )
    layout = InvoiceLayout(
        {"numero": "n", "date_facture": "date", "date_echeance": "echeance", "montant": "total", "libelle": "lot",
         "debiteur": "famille", "code_famille": "code"},
        {"regie": "PERISCOLAIRE"},
    )  # fmt: skip
    (found,) = read(content.encode("iso8859-15"), layout)
    assert isinstance(found, InvoiceRecord), found
    assert (found.number, found.amount, found.due_on) == ("000314", 5687, date(2026, 11, 30))
