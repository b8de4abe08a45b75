"""What French offices write without thinking of it, and what is made of it."""

from datetime import date
from decimal import Decimal

import pytest
from csv_building import FLAT_HEADER, FLAT_ROWS, HEADER, flat, flat_row, row, table
from hypothesis import given
from hypothesis import strategies as st

from core.api.invoices import InvoiceKind, InvoiceRecord, LineRecord, SourceProblem, TaxKind
from core.domain.money import AmountError, decimal_text, parse_amount
from core.imports.format import fields
from core.imports.format.csv import plugin
from core.platform.tabular.problems import CellError


def test_every_column_finds_its_place(read):
    content = table(
        row(
            debiteur="MARTIN Céline;1 rue du Lavoir;;Bât. B;99120;DÉMOVILLE",
            montant='"1 234,56 €"',
            prelevement="oui",
        ),
        header=HEADER.replace("debiteur", "debiteur;adresse1;adresse2;adresse3;code_postal;ville"),
    )
    (record,) = read(content)
    assert record == InvoiceRecord(
        regie="PERISCOLAIRE",
        number="2025-010-000314",
        family_code="F01207",
        label="CANTINE ET GARDERIE OCTOBRE 2025",
        amount=123456,
        issued_on=date(2025, 11, 3),
        due_on=date(2025, 11, 25),
        fiscal_year=2025,
        payment_reference="2025-TS-00-1000314",
        debtor="MARTIN Céline",
        address=("1 rue du Lavoir", "Bât. B", "99120 DÉMOVILLE"),
        period_start=date(2025, 10, 1),
        period_end=date(2025, 10, 31),
        direct_debit=True,
        line_number=2,
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (table(row(), encoding="utf-8"), "UTF-8"),
        (table(row(), encoding="utf-8-sig"), "UTF-8 with BOM"),
        (table(row(), encoding="cp1252"), "Windows-1252"),
        (table(row(), end="\n"), "Unix line ends"),
        (table(row(), end="\r"), "old Macintosh line ends"),
        (table(row()).rstrip(), "no line end at the end"),
        (b"sep=;\r\n" + table(row()), "Excel's first line"),
        (b"\r\n;;;\r\n" + table(row(), ";" * 15, "", ";" * 15), "blank lines"),
        (table(row(), header=HEADER.upper().replace("_", " ")), "capitals and spaces"),
        (table(row(), header=HEADER.replace("numero", " Numéro ")), "accents"),
        (table(row() + ";", header=HEADER + ";"), "an empty column"),
        (table(row(regie="Régie périscolaire")), "the régie's label"),
        (table(row(regie="periscolaire")), "the régie in small letters"),
        (table(row(type="Facture", prelevement="n")), "capitals in words"),
        (table(row(libelle='"CANTINE ET GARDERIE OCTOBRE 2025"')), "quotes"),
        (table(row(libelle='"CANTINE ET GARDERIE\n OCTOBRE 2025"')), "a cell over two lines"),
        (table(row(libelle='"CANTINE ET\r\n\r\nGARDERIE OCTOBRE 2025"')), "a cell over three lines"),
        (table(row()) + b"\x1a", "Ctrl-Z at the end"),
        (table(row(), encoding="utf-16"), "UTF-16"),
        (table(row(), encoding="utf-16-le"), "UTF-16 without a mark"),
        (table(row(), encoding="utf-32"), "UTF-32"),
        (table(row(debiteur="MARTIN CÃ©line")), "encoded twice"),
        (table(row(montant="56,87 €"), encoding="iso8859-15"), "ISO-8859-15"),
        (table(row(), encoding="utf-8").replace(b";", b"|"), "strokes"),
        (table(row(libelle="\xa0CANTINE ET GARDERIE OCTOBRE 2025 ")), "spaces around"),
        (table(row(exercice="")), "the year of the invoice's date"),
        (
            table(row(montant='"56,87"').replace(";", ","), header=HEADER.replace(";", ",")),
            "commas",
        ),
        (table(row().replace(";", "\t"), header=HEADER.replace(";", "\t")), "tabs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_way_of_writing_gives_the_same_invoice(read, content, why):
    (record,) = read(content)
    assert isinstance(record, InvoiceRecord), why
    assert (record.regie, record.amount, record.debtor, record.fiscal_year, record.label) == (
        "PERISCOLAIRE",
        5687,
        "MARTIN Céline",
        2025,
        "CANTINE ET GARDERIE OCTOBRE 2025",
    )


def test_lines_of_one_table_are_grouped_into_their_invoice(read):
    first, second = read(flat(*FLAT_ROWS, flat_row("", total="41,60", number="2")))
    assert first.lines == (
        LineRecord(1, "REPAS", TaxKind.MEAL, 4160, "E1", Decimal(16), 260),
        LineRecord(2, "SOIR", TaxKind.CARE, 1527, "E1"),
    )
    assert (first.line_number, second.line_number) == (2, 4)
    assert [line.rank for line in second.lines] == [1]


def test_repeated_fields_may_be_left_out_after_the_first_row(read):
    cells = FLAT_ROWS[1].split(";")
    cells[2:7] = [""] * 5
    (record,) = read(flat(FLAT_ROWS[0], ";".join(cells)))
    assert len(record.lines) == 2


def test_lines_are_sorted_by_their_rank(read):
    (record,) = read(flat(FLAT_ROWS[1], FLAT_ROWS[0]))
    assert [line.rank for line in record.lines] == [1, 2]


def test_a_reduction_is_a_line_below_zero(read):
    rows = (
        flat_row("1", total="31,60"),
        flat_row("2", "-10,00", total="31,60", rest=";REMISE;autre;;"),
    )
    (record,) = read(flat(*rows))
    assert [line.amount for line in record.lines] == [4160, -1000]


@pytest.mark.parametrize("amount", ["-12,50", "0,00"])
def test_a_credit_note_takes_money_back(read, amount):
    (record,) = read(table(row(type="avoir", montant=amount, facture_origine="2025-009-000001")))
    assert record.kind is InvoiceKind.CREDIT_NOTE
    assert record.amount == parse_amount(amount)
    assert record.origin_number == "2025-009-000001"


def test_one_number_may_stand_in_two_regies(read):
    assert not [
        item for item in read(table(row(), row(regie="CRECHE"))) if isinstance(item, SourceProblem)
    ]


def test_without_a_town_any_regie_is_taken_as_given(read):
    (record,) = read(table(row(regie="Piscine")), regies=())
    assert record.regie == "Piscine"


def test_a_cent_of_rounding_in_a_line_is_forgiven(read):
    (record,) = read(flat(flat_row(total="3,38", amount="3,38", rest=";HEURES;garde;2,75;1,23")))
    assert record.lines[0].amount == 338


def test_the_plugin_gives_the_source_its_towns_regies(read):
    class UnitOfWork:
        regies = ()

    class Context:
        town = UnitOfWork

    (source,) = plugin.invoice_sources(Context)
    assert source.key == plugin.name == "csv"
    assert plugin.built_in
    assert plugin.Settings().model_dump() == {}


def test_the_header_of_the_tests_is_the_documented_one():
    assert set(FLAT_HEADER.split(";")) & set(HEADER.split(";"))


@given(st.integers(-(10**11), 10**11))
def test_an_amount_is_read_as_it_was_written(cents):
    assert fields.money(decimal_text(cents)) == cents


@given(st.text(max_size=12))
def test_an_amount_is_never_guessed(text):
    try:
        cents = fields.money(text)
    except CellError:
        with pytest.raises(AmountError):
            parse_amount(text)
    else:
        assert str(abs(cents)).lstrip("0") in "".join(filter(str.isdigit, text)) + "00"


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_a_date_is_read_in_both_notations(day):
    assert fields.day(day.isoformat()) == fields.day(day.strftime("%d/%m/%Y")) == day


SHORT = "regie;numero;code_famille;libelle;date_facture;date_echeance;montant"
ONE = "PERISCOLAIRE;1;F01;CANTINE;03/11/2026;25/11/2026;56,87"
OTHER = "PERISCOLAIRE;2;F01;CANTINE;03/11/2026;25/11/2026;1,00"


@pytest.mark.parametrize(
    "lines",
    [
        ("Ville de Demo", "Liste des factures;;;03/11/2026", "", SHORT, ONE, OTHER),
        (SHORT, ONE, SHORT, OTHER),  # printed again on each page
        ("Titre", SHORT, "TOTAL GÉNÉRAL;;;;;;57,87", ONE, OTHER),
        (SHORT, ONE, OTHER, ";2 factures;;Total;;;57,87"),
        (SHORT, ONE, ";;;Sous-total;;;56,87", OTHER, ";;;Total;;;57,87"),
    ],
)  # fmt: skip
def test_what_stands_round_a_list_of_invoices(read, lines):
    found = list(read("\r\n".join((*lines, "")).encode()))
    assert [one.amount for one in found if isinstance(one, InvoiceRecord)] == [5687, 100], found
    assert len(found) == 2


@pytest.mark.parametrize("total", ["57,88", "57,86", "-57,87"])
@pytest.mark.parametrize("above", [True, False])
def test_a_total_that_is_wrong_is_told_wherever_it_stands(read, total, above):
    said = f"TOTAL;;;;;;{total}"
    lines = (SHORT, said, ONE, OTHER) if above else (SHORT, ONE, OTHER, said)
    (wrong,) = [one for one in read("\n".join(lines).encode()) if isinstance(one, SourceProblem)]
    assert (wrong.column, wrong.line) == ("montant", 2 if above else 4)


@pytest.mark.parametrize(
    ("title", "meant"),
    [("N° facture", "numero"), ("Code client", "code_famille"), ("Total TTC", "montant"), ("Date limite de paiement", "date_echeance"),
     ("Numero_facture", "numero"), ("montants", "montant"), ("Famille", "debiteur"), ("Solde actuel", ""), ("Mode", "")],
)  # fmt: skip
def test_a_hint_names_what_a_title_means_or_nothing(read, title, meant):
    said = [one.message for one in read(f"{SHORT};{title}\n{ONE};x\n".encode())]
    hints = [message for message in said if "Vouliez-vous" in message]
    assert [meant in hint for hint in hints] == ([True] if meant else []), said


def test_another_programs_list_leads_to_the_layouts(read):
    said = [one.message for one in read(b"Date;Facture;Nom;Total\n03/11/2026;1;MARTIN;56,87\n")]
    assert any("Modèles de fichiers" in message for message in said), said
