"""Files of cheques: what is read, and what is refused with its place."""

from __future__ import annotations

import io
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.cheque_import.cmc7 import KeyState, Zones, rlmc
from plugins.cheque_import.readers import read_file, tlmc
from plugins.cheque_import.records import split_references

HEADER = "remise;date_remise;rang;cheque;z3;z2;cle;montant;emetteur;banque;ref;code_famille;observations"
GOOD = "R2025-042;2025-11-20;1;0001234;099999000015;012345678906;63;56,87;M OU MME MARTIN P;BANQUE DEMO;2025-010-000001;F01207;"
TWO = "R2025-042;2025-11-20;2;7654321;099999000077;500013026063;;239,82;LEROY CÉLINE;;2025-010-000044+2025-010-000045;;"


def csv(*lines: str, encoding: str = "utf-8") -> bytes:
    return "\r\n".join((HEADER, *lines, "")).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_neutral_file(encoding):
    read = read_file("remise.csv", csv(GOOD, TWO, encoding=encoding))
    assert read.problems == ()
    first, second = read.records
    assert (first.amount, first.number, first.key) == (5687, "0001234", KeyState.GOOD)
    assert first.zones == Zones("0001234", "099999000015", "012345678906")
    assert first.slip_date == date(2025, 11, 20)
    assert second.references == ("2025-010-000044", "2025-010-000045")
    assert second.issuer == "LEROY CÉLINE"
    assert second.line == 3


def test_columns_in_any_order_and_a_raw_line_in_place_of_zones():
    content = b"montant;rang;remise;cmc7;cle\n12,00;1;R1;<0001234<099999000015:01234567890?;63\n"
    (found,) = read_file("a.csv", content).records
    assert found.number == "0001234"
    assert found.key is KeyState.FILLED


def change(column: int, value: str) -> str:
    cells = GOOD.split(";")
    cells[column] = value
    return ";".join(cells)


@pytest.mark.parametrize(
    ("line", "column", "word"),
    [
        (change(7, ""), "montant", "obligatoire"),
        (change(7, "0"), "montant", "positif"),
        (change(7, "-5,00"), "montant", "positif"),
        (change(7, "56,875"), "montant", "56,87"),
        (change(7, "1,234.56"), "montant", "montant"),
        (change(7, "5,7E+3"), "montant", "scientifique"),
        (change(7, "illisible"), "montant", "montant"),
        (change(7, "=1+1"), "montant", "montant"),
        (change(3, "1234"), "cheque", "zéros"),
        (change(4, "99999000015"), "z3", "zéros"),
        (change(5, "1,23457E+11"), "z2", "scientifique"),
        (change(5, ""), "z2", "chiffres"),
        (change(6, "99"), "cle", "97"),
        (change(0, ""), "remise", "obligatoire"),
        (change(2, "0"), "rang", "entier"),
        (change(2, "1.5"), "rang", "entier"),
        (change(1, "45981"), "date_remise", "tableur"),
        (change(1, "31/02/2025"), "date_remise", "date"),
        (change(8, "LEF\ufffdVRE"), "emetteur", "accentuées"),
        (change(8, "x" * 300), "emetteur", "long"),
        (change(8, "a\x07b"), "emetteur", "contrôle"),
    ],
)
def test_a_bad_cell_is_named_and_nothing_is_kept(line, column, word):
    read = read_file("remise.csv", csv(TWO, line))
    assert read.records == ()
    (problem,) = read.problems
    assert (problem.file, problem.line, problem.column) == ("remise.csv", 3, column)
    assert word in problem.message
    assert f"ligne 3, colonne «\u202f{column}\u202f»" in str(problem)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "vide"),
        (b"\n\n", "vide"),
        (HEADER.encode(), "aucun"),
        (HEADER.replace(";", ",").encode(), "aucun"),
        (HEADER.replace("montant", "total").encode(), "inconnue"),
        (HEADER.replace(";montant", "").encode(), "manquante"),
        (HEADER.replace(";cheque", "").encode(), "manquante"),
        ((HEADER + ";montant").encode(), "deux fois"),
        (csv('R1;"open'), "guillemet"),
        (csv("R1;2"), "cellules"),
        (b"\x00\x01\x02\xff;", "CSV"),
        (b"a;" + b"x" * 70_000, "longue"),
        (b"PK\x03\x04 not a zip", "XLSX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS"),
        (csv(GOOD, ";;;;;;Total;56,88;;;;"), "total"),
        (csv("R1;2025-11-20;1;0001234;099999000015;012345678906;63;56,87;a"), "cellules"),
        (b"x" * (20 * 1024 * 1024 + 1), "20"),
        (csv(GOOD.replace("0001234;099999000015;012345678906;63", "0001234;;;"), GOOD.replace("0001234;099999000015;012345678906;63", "0001235;;;")), "rang"),
    ],
)
def test_a_bad_file_is_one_clear_problem(content, word):
    read = read_file("remise.csv", content)
    assert read.records == ()
    assert word in read.problems[0].message


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_no_bytes_make_a_reader_raise(content):
    read = read_file("f", content)
    assert read.records == () or read.problems == ()


@given(st.text(max_size=200), st.sampled_from(range(13)))
def test_no_cell_makes_a_reader_raise_or_invent_an_amount(text, column):
    read = read_file("f", csv(change(column, text)))
    for record in read.records:
        assert record.amount > 0


def sheet(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


MAPPING = {"montant": "Somme", "cheque": "N° chèque", "emetteur": "Payeur", "ref": "Facture", "date_cheque": "Daté du"}


def test_a_regisseurs_own_list_through_the_towns_mapping():
    content = sheet([
        ["Payeur", "N° chèque", "Somme", "Facture", "Daté du", "À savoir"],
        ["Martin", "0001234", 56.87, "2025-010-000001", datetime.fromisoformat("2025-11-20"), "x"],
        [None, None, None, None, None, None],
        ["Leroy", 7654321, 239.82, "2025-010-000044", None, None],
    ])
    read = read_file("liste.xlsx", content, mapping=MAPPING)
    assert read.problems == ()
    first, second = read.records
    assert (first.amount, first.rank, first.drawn_on) == (5687, 1, date(2025, 11, 20))
    assert (second.amount, second.number, second.rank, second.line) == (23982, "7654321", 2, 4)


@pytest.mark.parametrize(
    ("row", "heading", "word"),
    [
        (["Martin", 1234, 56.87, "", None], "n° chèque", "zéros"),
        (["Martin", "0001234", 56.875, "", None], "somme", "montant"),
        (["Martin", "0001234", "#REF!", "", None], "somme", "vide"),
        (["Martin", "0001234", datetime.fromisoformat("2025-01-01"), "", None], "somme", "montant"),
        (["Martin", "0001234", 10, "2,02501E+12", None], "facture", "scientifique"),
        (["Martin", "0001234", 10, "", 45981], "daté du", "tableur"),
    ],
)
def test_what_a_spreadsheet_damages_is_refused_under_its_own_heading(row, heading, word):
    content = sheet([["Payeur", "N° chèque", "Somme", "Facture", "Daté du"], row])
    (problem,) = read_file("liste.xlsx", content, mapping=MAPPING).problems
    assert (problem.line, problem.column) == (2, heading)
    assert word in problem.message


def test_a_mapping_that_does_not_fit_the_sheet_is_refused():
    content = sheet([["Payeur", "Montant"], ["Martin", 10]])
    (problem,) = read_file("liste.xlsx", content, mapping={"montant": "Somme"}).problems
    assert "Somme" in problem.message
    (problem,) = read_file("liste.xlsx", content).problems
    assert "cheque" in problem.message


def test_lines_of_a_cheque_reader():
    content = (
        "<0001234<099999000015:012345678906; (63)\t56,87\n"
        "7654321099999000077500013026063\t1 239,82 €\n"
    ).encode()
    read = read_file("lecteur.txt", content)
    assert read.problems == ()
    assert [r.amount for r in read.records] == [5687, 123982]
    assert [r.key for r in read.records] == [KeyState.GOOD, KeyState.ABSENT]


def test_references_of_a_cell():
    assert split_references("A-1+B-2 , C-3;C-3") == ("A-1", "B-2", "C-3")
    printed = split_references("2025-010-000314 / K, 2025-010-000315 /* ")
    assert printed == ("2025-010-000314-K", "2025-010-000315-*")


digits31 = st.text("0123456789", min_size=31, max_size=31)
piles = st.lists(
    st.tuples(digits31, st.integers(1, 10**9), st.text("ABC0123-", max_size=24)),
    min_size=1, max_size=8, unique_by=lambda cheque: cheque[0],
)
DEPOSIT = tlmc.Deposit("REGIE DÉMO", "REM42", "FR7610071750000000000000000", date(2025, 11, 20))


def written(pile) -> bytes:
    cheques = [(Zones(d[:7], d[7:19], d[19:]), cents, ref) for d, cents, ref in pile]
    return tlmc.write(DEPOSIT, cheques)


@given(piles)
def test_a_deposit_file_comes_back_as_it_was_written(pile):
    content = written(pile)
    # As banks take it: no CR at the very end.
    assert {len(record) for record in content.split(b"\r")} == {320}
    read = read_file("remise.tlm", content)
    assert read.problems == ()
    assert [r.zones.digits for r in read.records] == [d for d, _c, _r in pile]
    assert [r.amount for r in read.records] == [c for _d, c, _r in pile]
    assert all(r.key is KeyState.GOOD and r.slip == "REM42" for r in read.records)
    assert read_file("r", content.replace(b"\r", b"\r\n")).records == read_file("r", content).records


def test_the_controls_of_a_deposit_file():
    digits = "0001234099999000015012345678906"
    content = written([(digits, 5687, "A"), (digits[::-1], 100, "B")])
    records = content.split(b"\r")

    def problems(*changed: bytes) -> str:
        return " ".join(p.message for p in read_file("r", b"\r".join(changed) + b"\r").problems)

    head, one, two, foot = records
    assert "total" in problems(head, one, two, foot[:172] + b"000000000001" + foot[184:])
    assert "nombre" in problems(head, one, two, foot[:185] + b"00007" + foot[190:])
    assert "suivent" in problems(head, two, one, foot)
    assert "320" in problems(head, one + b"x", two, foot)
    assert "08" in problems(head, one, two)
    assert "centimes" in problems(head, one[:117] + b"00000000xx00" + one[129:], two, foot)
    twice = one[:4] + b"000003" + one[10:]
    assert "deux fois" in problems(head, one, twice, foot)
    assert rlmc(digits).encode() == one[131:133]


PAIR = [("0001234099999000015012345678906", 5687, "2727752"),
        ("7654321099999000077500013026063", 23982, "2727753")]  # fmt: skip


def deposit_of(content):
    read = read_file("banque.tlm", content)
    assert read.problems == ()
    return [(record.number, record.amount) for record in read.records]


BOTH = [("0001234", 5687), ("7654321", 23982)]


@pytest.mark.parametrize(
    "changed",
    [
        lambda c: c,
        lambda c: c + b"\r",
        lambda c: c + b"\x1a",
        lambda c: c.replace(b"\r", b""),
        lambda c: b"\r\n".join(record.rstrip() for record in c.split(b"\r")),
    ],
)
def test_a_deposit_file_as_transfers_leave_it(changed):
    """Without any CR, blanks stripped, a final Ctrl-Z: the cheques are the same."""
    assert deposit_of(changed(written(PAIR))) == BOTH


def test_a_serial_number_is_no_reference_of_an_invoice():
    content = written(PAIR)
    assert b"000000000000000002727752" in content
    assert all(record.references == () for record in read_file("r", content).records)
    kept = content.replace(b"000000000000000002727752", b"2025-010-000001         ")
    assert read_file("r", kept).records[0].references == ("2025-010-000001",)


def test_several_slips_in_one_file_each_with_its_controls():
    one, two = (tlmc.write(DEPOSIT, [(Zones(d[:7], d[7:19], d[19:]), cents, ref)])
                for d, cents, ref in PAIR)  # fmt: skip
    assert deposit_of(one + b"\r" + two) == BOTH
    assert read_file("r", one + b"\r" + two[:-140] + b"9" + two[-139:]).problems


@pytest.mark.parametrize("foot", [0, 1])
def test_a_cancelled_cheque_is_named_and_left_out(foot):
    """Banks differ in whether its amount is in the total."""
    head, one, two, last = written(PAIR).split(b"\r")
    cancelled = one[:129] + b"1" + one[130:]
    if foot:
        last = last[:172] + b"000000023982" + b"0" + b"00001" + last[190:]
    read = read_file("r", b"\r".join((head, cancelled, two, last)))
    assert read.problems == ()
    assert [record.number for record in read.records] == ["7654321"]
    (left,) = read.left_out
    assert (left.line, left.column) == (2, "130")
    assert "annulé" in left.message


def test_a_foreign_cheque_is_named_and_left_out():
    head, one, two, last = written(PAIR).split(b"\r")
    foreign = one[:19] + b"123456 12345678 123456789      " + one[50:]
    read = read_file("r", b"\r".join((head, foreign, two, last)))
    assert (read.problems, len(read.records), len(read.left_out)) == ((), 1, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"\x1a"),
        (b"sep=;\r\n", b""),
        (b"SEP=;\n", b"\r\n\x1a"),
        ("\ufeffsep=;\r\n".encode(), b""),
    ],
)
def test_what_old_programs_and_excel_add_to_a_file(before, after):
    assert [r.number for r in read_file("r", before + csv(GOOD) + after).records] == ["0001234"]


@pytest.mark.parametrize("separator", [",", "\t", "|"])
def test_another_separator(separator):
    content = csv(*(line.replace(",", ".").replace(";", separator) for line in (GOOD, TWO)))
    content = content.replace(HEADER.encode(), HEADER.replace(";", separator).encode())
    assert [r.amount for r in read_file("r", content).records] == [5687, 23982]


def test_what_stands_round_a_list():
    """Titles of the list above its columns, a printed header, totals, cells over two lines."""
    two = TWO.replace("LEROY CÉLINE", '"LEROY\nCÉLINE"')
    content = csv(GOOD, HEADER, two, ";;;;;;Total;296,69;;;;").replace(b"remise;", b"Ville de Demo\r\n\r\nremise;", 1)
    read = read_file("r", content.decode().encode("iso8859-15"))
    assert read.problems == ()
    assert [(r.amount, r.line) for r in read.records] == [(5687, 4), (23982, 6)]
    assert read.records[1].issuer == "LEROY CÉLINE"


def test_a_towns_own_list_as_text_and_the_portals_beside_it():
    own = "Payeur;N° chèque;Somme;Facture;Daté du;À savoir\nMartin;0001234;56,87;A-1;20/11/2025;x\n"
    (record,) = read_file("liste.csv", own.encode("cp1252"), mapping=MAPPING).records
    assert (record.issuer, record.amount, record.slip) == ("Martin", 5687, "liste.csv")
    assert len(read_file("r", csv(GOOD), mapping=MAPPING).records) == 1


def test_sheets_of_a_workbook():
    book = openpyxl.Workbook()
    book.active.append(["Couverture"])
    one, two = book.create_sheet(), book.create_sheet()
    for number, at in enumerate((one, two)):
        at.append(["N° chèque", "Montant"])
        if not number:
            at.append(["0001234", 56.87])
    out = io.BytesIO()
    book.save(out)
    assert "Plusieurs" in read_file("r.xlsx", out.getvalue()).problems[0].message
    book.remove(two)
    out = io.BytesIO()
    book.save(out)
    assert [r.amount for r in read_file("r.xlsx", out.getvalue()).records] == [5687]


def test_titles_as_people_write_them():
    titles = "Remise;Rang;N° de chèque;Montant;Émetteur;Référence;Code famille;Date du chèque"
    content = f"{titles}\r\nR1;1;0001234;56,87;LEROY;A-1;F1;20/11/2025\r\n"
    (record,) = read_file("r", content.encode("cp1252")).records
    assert (record.number, record.issuer, record.references) == ("0001234", "LEROY", ("A-1",))
    assert (record.family_code, record.drawn_on) == ("F1", date(2025, 11, 20))


TITLED = HEADER.replace("observations", "observations;moyen")


@pytest.mark.parametrize(
    "means",
    ["CESU", "Cesu papier", "Chèques-vacances", "CHEQUE VACANCES", "Chèque emploi service", "ANCV", "Espèces", "CRCESU",
     "Chq vacances", "Ch. vacances", "CHQ-VAC", "chq. emploi service", "Ticket CESU", "Titre CESU"],
)
def test_a_title_in_a_list_is_named_and_left_out(means):
    content = "\n".join((TITLED, *(f"{line};{word}" for line, word in ((GOOD, means), (TWO, "Chèque")))))
    read = read_file("r.csv", content.encode())
    assert (read.problems, [record.line for record in read.records]) == ((), [3])
    (left,) = read.left_out
    assert (left.line, left.column, left.value) == (2, "moyen", means)
    assert "n’est pas un chèque" in left.message


@pytest.mark.parametrize("means", ["", "chèque", "Chèque bancaire", "CHQ", "CHEQUES"])
def test_a_cheque_is_one_however_it_is_called(means):
    read = read_file("r.csv", f"{TITLED}\n{GOOD};{means}".encode())
    assert (read.problems, read.left_out, len(read.records)) == ((), (), 1)


@pytest.mark.parametrize("column", [8, 9])
def test_a_title_is_known_by_its_bank_or_its_issuer_too(column):
    read = read_file("r.csv", csv(TWO, change(column, "CESU EDENRED")))
    assert len(read.records) == len(read.left_out) == 1
    assert read.left_out[0].value == "CESU EDENRED"


def test_the_right_lines_of_a_list_are_read_and_the_others_named():
    wrong = change(7, "12,5O")
    assert read_file("r.csv", csv(GOOD, wrong, TWO)).records == ()
    read = read_file("r.csv", csv(TWO, wrong), right_lines=True)
    assert (read.problems, len(read.records)) == ((), 1)
    assert [(one.line, one.column, one.value, one.left_out) for one in read.left_out] == [
        (3, "montant", "12,5O", True)
    ]
    # Nothing right, or no list at all: there is nothing to take.
    assert read_file("r.csv", csv(wrong), right_lines=True).problems
    assert read_file("r.csv", b"a;b\n1;2\n", right_lines=True).problems
    many = read_file("r.csv", csv(*[wrong] * 300, TWO), right_lines=True)
    assert (len(many.records), len(many.left_out)) == (1, 300)


@pytest.mark.parametrize(
    ("line", "amount", "key"),
    [
        ("A0001234A099999000015C012345678906B\t63\t56,87\n", 5687, KeyState.GOOD),
        ("<0001234<099999000015:012345678906;;56,87\r\n", 5687, KeyState.ABSENT),
        ("<0001234<099999000015:012345678906;,56.87\r\n", 5687, KeyState.ABSENT),
        ("<0001234<099999000015:012345678906;000000005687:\t56,87", 5687, KeyState.ABSENT),
        ("0001234 099999000015 012345678906 (63)\t1 056,87 €\n", 105687, KeyState.GOOD),
        ("000123409999900001501234567890663\t56,87\x1a", 5687, KeyState.GOOD),
        ("0001234099999000015012345678906|63|56,87 EUR", 5687, KeyState.GOOD),
        ("0001234099999000015012345678906  56,87", 5687, KeyState.ABSENT),
        ("0001234 099999000015 012345678906 (63) 56,87", 5687, KeyState.GOOD),
        ("A0001234A099999000015C012345678906B 56,87", 5687, KeyState.ABSENT),
        ("0001234 099999000015 012345678906 56,87", 5687, KeyState.ABSENT),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_reader_s_file_has_its_key_and_amount_in_many_shapes(line, amount, key, encoding):
    read = read_file("lecteur.txt", line.encode(encoding), slip="R1")
    (found,) = read.records
    assert (found.number, found.amount, found.key) == ("0001234", amount, key)


@pytest.mark.parametrize("amount", ["1 239,82", "12 239,82", "63 56,87", "1 1 239,82"])
def test_what_may_be_a_key_or_a_part_of_the_amount_is_no_amount(amount):
    content = f"A0001234A099999000015C012345678906B 56,87\nA0001234A099999000015C012345678906B {amount}\n"
    read = read_file("lecteur.txt", content.encode())
    assert [one.line for one in read.problems] == [2]


MAGTEK = "A0001234A099999000015C012345678906B\t56,87"
SHORT = "A000123A099999000015C012345678906B\t10,00"


@pytest.mark.parametrize("lines", [[SHORT, MAGTEK], [MAGTEK, SHORT], [SHORT, SHORT, MAGTEK]])
def test_a_wrong_line_of_a_reader_s_file_is_named_wherever_it_stands(lines):
    content = "\n".join(lines).encode()
    wrong = [n for n, line in enumerate(lines, 1) if line == SHORT]
    read = read_file("lecteur.txt", content)
    assert [(one.line, one.column) for one in read.problems] == [(n, "cmc7") for n in wrong]
    read = read_file("lecteur.txt", content, right_lines=True)
    assert [one.amount for one in read.records] == [5687]
    assert [one.line for one in read.left_out] == wrong


AZERTY = "Qààà&é\"'Qàçççççàààà&(Cà&é\"'(-è_çà-B"
"""A reader's line, of a reader that is set to the American layout, as a French machine writes it."""


@pytest.mark.parametrize("amount", ["56,87", "(-;_è", "(-:_è"])  # By hand, or by the reader as well.
def test_a_file_typed_on_the_wrong_layout_is_understood(amount):
    read = read_file("lecteur.txt", f"{AZERTY}\t{amount}\n{AZERTY}\t{amount}".encode())
    assert [(one.number, one.amount) for one in read.records] == [("0001234", 5687)] * 2


def test_a_file_on_the_wrong_layout_that_cannot_be_read_names_the_keyboard():
    read = read_file("lecteur.txt", f"{AZERTY}\t56,87\n{AZERTY[:-6]}\t56,87".encode())
    (problem,) = read.problems
    assert problem.line == 2
    assert "QWERTY" in problem.message


def test_zones_in_columns_typed_on_the_wrong_layout_are_understood():
    titles = "rang;montant;cheque;z3;z2;cle"
    read = read_file("r.csv", f"{titles}\n1;56,87;ààà&é\"';àçççççàààà&(;à&é\"'(-è_çà-;-\"".encode())
    (found,) = read.records
    assert (found.number, found.key) == ("0001234", KeyState.GOOD)


def test_lines_without_amounts_say_that_these_are_missing():
    read = read_file("lecteur.txt", b"A0001234A099999000015C012345678906B\nA7654321A099999000077C500013026063B\n")
    assert [one.line for one in read.problems] == [1, 2]
    assert all("montant" in one.message and "manque" in one.message for one in read.problems)
    # One of several: it alone is named.
    read = read_file("lecteur.txt", f"{MAGTEK}\n{MAGTEK.split(maxsplit=1)[0]}".encode(), right_lines=True)
    assert ([one.line for one in read.records], [one.line for one in read.left_out]) == ([1], [2])


def test_a_zone_with_a_foreign_sign_is_named():
    read = read_file("r.csv", csv(change(4, "09999900O015")))
    (problem,) = read.problems
    assert (problem.column, problem.value) == ("z3", "09999900O015")
    assert "chiffres" in problem.message
    assert "7, 12, 12" not in problem.message
