"""Every way in which a file was ever wrong: each refused with where, what and what was expected."""

import pytest
from csv_building import FLAT_ROWS, GOOD, HEADER, flat, flat_row, row, table

from core.api.invoices import InvoiceRecord, SourceFile, SourceProblem
from core.imports.format.csv import CsvSource


def cell(column, value):
    """The file whose one invoice has `value` in `column`, and where the problem has to be."""
    return pytest.param(
        table(row(**{column: value})), 2, column, value, id=f"{column}={value[:20]!r}"
    )


CELLS = [
    cell("montant", "56.8.7"),
    cell("montant", "56,875"),
    cell("montant", "1,234.50"),
    cell("montant", "1E3"),
    cell("montant", "cinquante"),
    cell("montant", "-56,87"),
    cell("montant", "0,00"),
    cell("montant", "99999999999"),
    cell("montant", "٥٦,٨٧"),
    cell("montant", "=56,87"),
    cell("date_facture", "31/02/2025"),
    cell("date_facture", "03/11/25"),
    cell("date_facture", "11-03-2025"),
    cell("date_facture", "45964"),
    cell("date_facture", "2025-13-01"),
    cell("date_facture", "03/11/1025"),
    cell("date_echeance", "02/11/2025"),
    cell("periode_fin", "30/09/2025"),
    cell("exercice", "25"),
    cell("exercice", "20 25"),
    cell("regie", "PISCINE"),
    cell("numero", "2,025E+12"),
    cell("numero", "../../etc/passwd"),
    cell("numero", "1" * 41),
    cell("code_famille", "F01207@"),
    cell("libelle", "=HYPERLINK(1)"),
    cell("libelle", "@SUM(1)"),
    cell("libelle", "+33 1 23"),
    cell("libelle", "-1+cmd|' /C calc'!A0"),
    cell("libelle", "＝1+1"),
    cell("libelle", "x" * 201),
    cell("debiteur", "=1+1"),
    cell("prelevement", "peut-être"),
    cell("type", "devis"),
    cell("facture_origine", "2025-010-000001"),
    cell("pdf", "../secret.pdf"),
    cell("pdf", "C:\\factures\\1.pdf"),
    cell("pdf", "absent.pdf"),
    *(
        pytest.param(table(row(**{name: ""})), 2, name, "", id=f"{name} empty")
        for name in ("regie", "numero", "code_famille", "libelle", "date_facture", "montant")
    ),
    pytest.param(table(row(type="avoir", montant="12,50")), 2, "montant", "12,50", id="avoir > 0"),
    pytest.param(table(row(), row()), 3, "numero", GOOD["numero"], id="same number"),
    pytest.param(
        table(row(), row(numero="2", ref_tipi="2025TS001000314")),
        3,
        "ref_tipi",
        "2025TS001000314",
        id="same reference",
    ),
    pytest.param(
        flat(flat_row(amount="41,61", total="41,60")), 2, "montant", "41,60", id="sum of lines"
    ),
    pytest.param(
        flat(flat_row(amount="44,60", total="44,60")), 2, "montant_ligne", "44,60", id="product"
    ),
    pytest.param(
        flat(FLAT_ROWS[0], FLAT_ROWS[1].replace("MOIS", "AUTRE")),
        3,
        "libelle",
        "AUTRE",
        id="repeated field differs",
    ),
    pytest.param(
        flat(*FLAT_ROWS, flat_row(number="2", total="41,60"), FLAT_ROWS[0]),
        5,
        "numero",
        "1",
        id="lines apart",
    ),
    pytest.param(
        flat(FLAT_ROWS[0], FLAT_ROWS[1].replace(";2;E1", ";1;E1")), 2, "rang", "1", id="same rank"
    ),
    pytest.param(
        flat(FLAT_ROWS[0], FLAT_ROWS[1].replace(";2;E1", ";;E1")), 2, "rang", "1", id="rank missing"
    ),
    pytest.param(flat(flat_row("0", total="41,60")), 2, "rang", "0", id="rank 0"),
    pytest.param(
        flat(flat_row(rest=";REPAS;sport;16;2,60", total="41,60")),
        2,
        "nature_fiscale",
        "sport",
        id="tax kind",
    ),
    pytest.param(
        flat(flat_row(rest=";;repas;16;2,60", total="41,60")), 2, "activite", "", id="no activity"
    ),
    pytest.param(
        flat(flat_row(rest=";REPAS;repas;16,1234;2,60", total="41,60")),
        2,
        "quantite",
        "16,1234",
        id="quantity",
    ),
]


@pytest.mark.parametrize(("content", "line", "column", "value"), CELLS)
def test_a_wrong_cell_is_refused_where_it_stands(read, content, line, column, value):
    problems = [item for item in read(content) if isinstance(item, SourceProblem)]
    assert [(p.file, p.line, p.column) for p in problems] == [("factures.csv", line, column)]
    assert problems[0].value.startswith(value[:20])
    assert problems[0].message.endswith(".")


WHOLE = [
    pytest.param(b"", 0, "vide", id="empty"),
    pytest.param(b"\xef\xbb\xbf", 0, "vide", id="BOM only"),
    pytest.param(b";;;\r\n\r\n", 0, "vide", id="separators only"),
    pytest.param(table(), 0, "aucune facture", id="header only"),
    pytest.param(table(header="a;b;c"), 1, "En-tête", id="no header"),
    pytest.param(table(row(), header=row()), 1, "En-tête", id="rows without header"),
    pytest.param(table(header=HEADER.replace(";", "~")), 1, "En-tête", id="wrong separator"),
    pytest.param(table(row().replace(";", ",")), 2, "cellules au lieu de", id="row separated else"),
    pytest.param(
        table(row().replace(";", ","), header=HEADER.replace(";", ",")), 2, "entre guillemets",
        id="comma separator and bare decimal comma",
    ),
    pytest.param(table(row(), header=HEADER.replace("libelle", "numero")), 1, "deux fois", id="twice"),
    pytest.param(table(row(), header=HEADER.replace("montant", "montan")), 1, "« montant »", id="typo"),
    pytest.param(table(row(), header=HEADER + ";iban"), 1, "inconnue", id="unknown column"),
    pytest.param(table(row() + ";oublié", header=HEADER + ";"), 2, "sans titre", id="stray value"),
    pytest.param(table(row(), header=HEADER.replace("ref_tipi;", "")), 2, "cellules", id="too many"),
    pytest.param(table("PERISCOLAIRE;2"), 2, "cellules", id="too few"),
    pytest.param(table(row(libelle='"CANTINE')), 2, "Guillemets", id="open quote"),
    pytest.param(table(row(libelle='"CANTINE "DU" MOIS"')), 2, "Guillemets", id="bare quotes"),
    pytest.param(table(row(libelle='"DEUX\nLIGNES'), row(numero="2")), 2, "Guillemets", id="line feed in an open cell"),
    pytest.param(table(row(libelle='"DEUX\nLIGNES"') + ";5"), 2, "Guillemets", id="line feed and a cell too many"),
    pytest.param(table(row(numero='"12\n34"')), 2, "Lettres, chiffres", id="line feed in a number"),
    pytest.param(table(row(libelle="A\0B")), 2, "invisible", id="NUL byte"),
    pytest.param(table(row(libelle="A\x1bB")), 2, "invisible", id="escape"),
    pytest.param(table(row(libelle="A\u202eB")), 2, "invisible", id="right-to-left override"),
    pytest.param(table(row(libelle="A\u200bB")), 2, "invisible", id="zero-width space"),
    pytest.param(table(row(libelle="A\ufffdB")), 2, "Lettres", id="replacement character"),
    pytest.param(table(row(libelle="GOÛTER"), encoding="cp850"), 2, "UTF-8", id="DOS"),
    pytest.param(table(row(debiteur="CÃ©line", libelle="GOÛTER")), 2, "Lettres accentuées", id="some encoded twice"),
    pytest.param(table(row(debiteur="s½ur")+"\r\n"+row(numero="2", debiteur="\x80"), encoding="latin-1"), 3, "Windows-1252", id="ISO-8859-15 and Windows-1252"),
    pytest.param(table(row(), encoding="utf-16")[:-1], 2, "illisible", id="half of UTF-16"),
    pytest.param(table(row(), encoding="mac_roman"), 2, "Lettres accentuées", id="Macintosh"),
    pytest.param(
        table(row()) + row(numero="2").encode("cp1252"), 2, "Lettres accentuées", id="mixed"
    ),
    pytest.param(table(row(libelle="A\x81"), encoding="latin-1"), 2, "Windows-1252", id="undefined"),
    pytest.param(table(row(libelle="x" * 10_000_000)), 2, "caractères", id="10 MB line"),
    pytest.param(table(header="x" * 10_000_000), 1, "caractères", id="10 MB header"),
    pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "CSV ou zip", id="xls"),
    pytest.param(b"%PDF-1.7\n", 0, "CSV ou zip", id="PDF"),
    pytest.param(b"\x89PNG\r\n\x1a\n\0\0", 1, "", id="picture"),
    pytest.param(b'[{"numero": "1"}]', 1, "En-tête", id="JSON"),
    pytest.param(
        flat(*([flat_row("", "1,00", total="600,00", rest=";REPAS;repas;;")] * 600)),
        2, "Plus de", id="too many lines",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line", "words"), WHOLE)
def test_a_wrong_file_is_refused_in_words(read, content, line, words):
    items = read(content)
    assert items
    assert isinstance(items[0], SourceProblem)
    assert items[0].line == line
    assert words in items[0].message
    assert len(items[0].value) <= 61


def test_a_bad_row_does_not_hide_the_next(read):
    items = read(
        table(row(montant="x", date_facture="y"), row(numero="2", ref_tipi=""), row(regie="z"))
    )
    assert [(i.line, i.column) for i in items if isinstance(i, SourceProblem)] == [
        (2, "date_facture"),
        (2, "montant"),
        (4, "regie"),
    ]
    assert [i.number for i in items if isinstance(i, InvoiceRecord)] == ["2"]


def test_a_bad_line_is_said_once_and_its_sum_is_not_judged(read):
    items = read(flat(FLAT_ROWS[0], FLAT_ROWS[1].replace("15,27", "quinze")))
    assert [(i.line, i.column) for i in items] == [(3, "montant_ligne")]


def test_a_file_that_is_gone_is_a_problem_too(tmp_path):
    gone = SourceFile(tmp_path / "gone.csv", "gone.csv", 0)
    assert [item.file for item in CsvSource().read(gone)] == ["gone.csv"]


def test_an_open_quote_costs_its_own_row(read):
    items = read(table(row(libelle='"CANTINE'), row(numero="2", ref_tipi=""), row(numero="3", ref_tipi="")))
    assert [(i.line, i.value[:12]) for i in items if isinstance(i, SourceProblem)] == [(2, "PERISCOLAIRE")]
    assert [i.number for i in items if isinstance(i, InvoiceRecord)] == ["2", "3"]


@pytest.mark.parametrize("words", ["TOTAL", "Total général", "TOTAUX :", "total_periscolaire"])
def test_a_line_of_totals_is_left_out_if_it_is_right(read, words):
    total = ";".join(words if name == "libelle" else "113,74" if name == "montant" else "" for name in HEADER.split(";"))
    whole = table(row(), row(numero="2", ref_tipi=""), total)
    assert [type(item) for item in read(whole)] == [InvoiceRecord, InvoiceRecord]
    wrong = read(whole.replace(b"113,74", b"170,61"))
    assert [(i.line, i.column) for i in wrong if isinstance(i, SourceProblem)] == [(4, "montant")]
    assert "113,74" in wrong[-1].message
    # Below a row that could not be read there is nothing to compare it with.
    damaged = read(table(row(), row(numero="2", date_facture="x"), total))
    assert [(i.line, i.column) for i in damaged if isinstance(i, SourceProblem)] == [(3, "date_facture")]


def test_a_row_without_number_is_no_total(read):
    items = read(table(row(numero="", libelle="TOTAL"), row(libelle="TOTAL")))
    assert [(i.line, i.column) for i in items if isinstance(i, SourceProblem)] == [(2, "numero")]
