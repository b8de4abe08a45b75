"""Statements of the account as banks export them: credits are credits, and nothing is guessed."""

import io
from contextlib import suppress
from datetime import date
from itertools import product
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_files import CAMT, OFX, OFX_2, PAYFIP, TABLES

from core.domain.bank import (
    Credit,
    Layout,
    StatementError,
    StatementFault,
    match,
    read_movements,
    read_statement,
)
from core.domain.money import decimal_text

HERE = Path(__file__).parent


@pytest.mark.parametrize("bank", sorted(TABLES))
def test_an_export_gives_its_credits(bank):
    """In each encoding and with each end of line that banks write."""
    for codec, end in product(("utf-8-sig", "cp1252", "iso8859-15", "utf-16"), ("\n", "\r\n", "\r")):
        content = TABLES[bank].replace("\n", end).encode(codec)
        (one,) = read_statement(content)
        assert (one.on, one.amount) == (PAYFIP.on, PAYFIP.amount), (codec, end)
        assert one.label == ("Virement VIR PAYFIP Divers" if bank == "LCL" else PAYFIP.label), (codec, end)
        amounts = sorted(movement.amount for movement in read_movements(content))
        assert amounts == [-1210, 5687], (codec, end)


def workbook(text):
    book = openpyxl.Workbook()
    for row in text.splitlines():
        cells = row.split(";")
        book.active.append([date(2026, 11, 27) if c == "27/11/2026" else float(c.replace(",", ".")) if c in {"56,87", "-12,10"} else c or None for c in cells])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize("bank", ["BNP Paribas", "Société Générale", "CIC", "Crédit Mutuel", "amount and side"])
def test_a_workbook_says_the_same(bank):
    assert read_statement(workbook(TABLES[bank])) == [PAYFIP]


@pytest.mark.parametrize("name", ["cfonb_lines.txt", "cfonb_no_line_ends.txt"])
def test_cfonb_needs_no_ends_of_line(name):
    content = (HERE / name).read_bytes()
    assert read_movements(content) == [
        Credit(date(2026, 11, 12), "VIR PAYFIP CARTES 11/11", 5687),
        Credit(date(2026, 11, 13), "COMMISSION", -120),
    ]


@pytest.mark.parametrize(
    ("change", "line", "fault"),
    [(lambda c: c[:-30], 1, StatementFault.CUT), (lambda c: c.replace("0410071", "0910071", 1), 1, StatementFault.CUT),
     (lambda c: c.replace("EUR2 00001000000  121126", "USD2 00001000000  121126"), 1, StatementFault.CURRENCY),
     (lambda c: c.replace("568G", "568?"), 1, StatementFault.AMOUNT), (lambda c: c.replace("568G", "5 8G"), 1, StatementFault.AMOUNT),
     (lambda c: c.replace("  121126  ", "  321326  "), 1, StatementFault.DATE)],
)  # fmt: skip
def test_damaged_cfonb_is_refused(change, line, fault):
    content = change((HERE / "cfonb_no_line_ends.txt").read_text("latin-1"))
    with pytest.raises(StatementError) as error:
        read_statement(content.encode("latin-1"))
    assert (error.value.line, error.value.fault) == (line, fault)


def test_the_samples_give_what_they_say():
    assert [(c.on.day, c.amount) for c in read_movements((HERE / "bpce.csv").read_bytes())] == [(27, 5687), (26, -1210)]
    (one,) = read_statement((HERE / "lbp.csv").read_bytes())
    assert one == Credit(date(2026, 11, 27), "VIREMENT DE DGFIP PAYFIP", 5687)
    (one,) = read_statement((HERE / "sens.csv").read_bytes())
    assert one == Credit(date(2026, 11, 27), "PAYFIP CB", 5687)


@pytest.mark.parametrize("version", ["02", "08", "13"])
def test_camt_053(version):
    sts = "<Sts><Cd>{}</Cd></Sts>" if version != "02" else "<Sts>{}</Sts>"
    content = CAMT.format(version=version, booked=sts.format("BOOK"), pending=sts.format("PDNG"))
    assert read_movements(content.encode()) == [PAYFIP, Credit(date(2026, 11, 26), "COMMISSION", -1210)]
    with pytest.raises(StatementError) as error:
        read_statement(content.replace("EUR", "CHF").encode())
    assert error.value.fault == StatementFault.CURRENCY
    with pytest.raises(StatementError):
        read_statement(content.replace("<CdtDbtInd>DBIT", "<CdtDbtInd>X").encode())
    with pytest.raises(StatementError):
        read_statement(content[:-40].encode())
    with pytest.raises(StatementError):
        read_statement(content.replace("<Document", '<!DOCTYPE d [<!ENTITY a "56.87">]><Document').replace(">56.87<", ">&a;<").encode())


@pytest.mark.parametrize("content", [OFX.format(point="."), OFX.format(point=","), OFX_2])
def test_ofx(content):
    assert read_statement(content.encode("cp1252")) == [PAYFIP]
    assert sorted(c.amount for c in read_movements(content.encode("cp1252"))) == [-1210, 5687]
    for damaged in (content.replace("</OFX>", ""), content.replace("EUR", "USD"), content.replace("20261127", "27112026"),
                    content.replace("CREDIT", "DEBIT"), content.replace("56", "5 6"), "<OFX>" + "<A>" * 200_000):  # fmt: skip
        with pytest.raises(StatementError):
            read_statement(damaged.encode("cp1252"))


def refused(text):
    with pytest.raises(StatementError) as error:
        read_statement(text.encode() if isinstance(text, str) else text)
    return error.value.line, error.value.fault


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("Date;Libellé;Débit;Crédit\n27/11/2026;x;5,00;5,00\n", 2, StatementFault.SIDE),
        ("Date;Libellé;Débit;Crédit\n27/11/2026;x;5,00;\n27/11/2026;x;5,00;\n27/11/2026;x;-5,00;\n", 4, StatementFault.SIDE),
        ("Date;Libellé;Montant;Sens\n27/11/2026;x;5,00;C\n27/11/2026;x;-5,00;C\n", 3, StatementFault.SIDE),
        ("Date;Libellé;Débit;Crédit\n27/11/2026;x;;\n", 2, StatementFault.AMOUNT),
        ("Date;Libellé;Montant\n27/11/2026;x;56 87\n", 2, StatementFault.AMOUNT),
        ("Date;Libellé;Montant\n27/11/2026;x;1.234,56\n", 2, StatementFault.AMOUNT),
        ("Date;Libellé;Montant\n27/11/2026;x;5,00\n31/11/2026;y;5,00\n", 3, StatementFault.DATE),
        ("Date;Libellé;Montant\n27/11/2026;x;5,00\nhier;y;5,00\n", 3, StatementFault.DATE),
        ("Date;Libellé;Montant;Devise\n27/11/2026;x;5,00;USD\n", 2, StatementFault.CURRENCY),
        ("Date;Libellé;Montant;Montant\n27/11/2026;x;5,00;6,00\n", 1, StatementFault.COLUMNS),
        ("27/11/2026;x;5,00;1234,56\n28/11/2026;y;6,00;1240,56\n", 0, StatementFault.COLUMNS),
        ("27/11/2026;20261127;REF\n", 0, StatementFault.COLUMNS),
        ("27/11/2026;x;5,00;C\n28/11/2026;y;6,00;D\n", 0, StatementFault.COLUMNS),
        ("Quand;Quoi;Parti\n27/11/2026;x;5,00\n", 0, StatementFault.COLUMNS),
        ('Date;Libellé;Montant\n27/11/2026;"x;5,00\n', 2, StatementFault.QUOTES),
        ("Date;Libellé;Montant\n27/11/2026;" + "x" * 200_000 + ";5,00\n", 2, StatementFault.CELL),
        ("Date;Libellé;Montant\n27/11/2026;" + "x" * 70_000 + ";5,00\n", 2, StatementFault.CELL),
        (b"a\x81;b\n", 1, StatementFault.ENCODING),
        (b"PK\x03\x04rest", 0, StatementFault.WORKBOOK),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", 0, StatementFault.WORKBOOK),
        (" \n", 0, StatementFault.EMPTY),
    ],
)  # fmt: skip
def test_what_leaves_a_doubt_is_refused(text, line, fault):
    assert refused(text) == (line, fault)


def test_a_reference_is_no_money():
    text = "Date;Référence;Libellé;Débit;Crédit\n27/11/2026;20261126;PAYFIP;;56,87\n26/11/2026;20261125;FRAIS;12,10;\n"
    assert [c.amount for c in read_statement(text.encode())] == [5687]


@pytest.mark.parametrize("label", ["SOLDE DE TOUT COMPTE MARTIN", "TOTAL ENERGIES VALMONT", "REPORT DE SORTIE", "Soldes d'été"])
def test_a_movement_whose_words_begin_like_a_balance_is_kept(label):
    (one,) = read_statement(f"Date;Libellé;Montant\n27/11/2026;{label};56,87\n".encode())
    assert one.label == label


@pytest.mark.parametrize("label", ["SOLDE", "Ancien solde créditeur", "Nouveau solde au 30/11/2026", "Solde au 30/11/2026", "TOTAL DES MOUVEMENTS", "Total", "REPORT"])
def test_a_balance_is_no_movement(label):
    text = f"Date;Libellé;Débit;Crédit\n27/11/2026;PAYFIP;;56,87\n30/11/2026;{label};;1234,56\n;{label};;1234,56\n"
    assert [c.amount for c in read_statement(text.encode())] == [5687]


def test_a_layout_says_what_titles_do_not():
    text = "Quand;Quoi;Combien;Et encore\n27/11/2026;PAYFIP;56,87;1,00\n26/11/2026;FRAIS;-12,10;1,00\n"
    assert refused(text)[1] == StatementFault.COLUMNS
    layout = Layout(date="quand", amount="combien", label="quoi")
    assert read_statement(text.encode(), layout) == [Credit(date(2026, 11, 27), "PAYFIP", 5687)]
    bare = "\n".join(text.splitlines()[1:])
    places = Layout(date="#1", amount="#3", label="#2")
    assert read_statement(bare.encode(), places) == [Credit(date(2026, 11, 27), "PAYFIP", 5687)]
    with pytest.raises(StatementError) as error:
        read_statement(text.encode(), Layout(date="quand", amount="montant"))
    assert error.value.fault == StatementFault.COLUMNS
    assert Layout.of({"date": "quand"}) is None
    assert Layout.of({"date": "quand", "credit": "credit"}) == Layout("quand", credit="credit")


MOVEMENTS = st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(-10**7, 10**7).filter(bool), st.integers(10**6, 10**8)), min_size=1, max_size=12)  # fmt: skip
SHAPES = {
    "signed": ("Date;Réf;Libellé;Montant", decimal_text),
    "two": ("Date;Réf;Libellé;Débit;Crédit", lambda c: f"{decimal_text(-c)};" if c < 0 else f";{decimal_text(c)}"),
    "two, signed": ("Date;Réf;Libellé;Débit;Crédit", lambda c: f"{decimal_text(c)};" if c < 0 else f";+{decimal_text(c)}"),
    "side": ("Date;Réf;Libellé;Montant;Sens", lambda c: f"{decimal_text(abs(c))};{'D' if c < 0 else 'C'}"),
    "side, signed": ("Date;Réf;Libellé;Montant;Sens", lambda c: f"{decimal_text(c)};{'D' if c < 0 else 'C'}"),
}


@given(MOVEMENTS, st.sampled_from(sorted(SHAPES)))
def test_what_left_never_arrived(movements, shape):
    header, written = SHAPES[shape]
    rows = [f"{on:%d/%m/%Y};{reference};VIR {n};{written(cents)}" for n, (on, cents, reference) in enumerate(movements)]
    content = "\n".join([header, *rows, f"Solde;;;{written(sum(c for _, c, _ in movements) or 1)}"]).encode()
    assert [(m.on, m.amount) for m in read_movements(content)] == [(on, cents) for on, cents, _ in movements]
    assert [c.amount for c in read_statement(content)] == [cents for _, cents, _ in movements if cents > 0]


@pytest.mark.parametrize("damage", ["<OFX>x<STMTTRN>", "<OFX>\0<STMTTRN>", "<OFX></OFX><STMTTRN>"])
def test_an_ofx_file_whose_tree_has_two_trunks_is_refused(damage):
    content = f"OFXHEADER:100\n\n{damage}<TRNTYPE>CREDIT<DTPOSTED>20261124<TRNAMT>56.87</STMTTRN></OFX>"
    with pytest.raises(StatementError):
        read_statement(content.encode())


@given(st.binary(max_size=300) | st.text(st.sampled_from('Date;Libellé\nMontat27/1026,PK<OFX>"\r\t 04'), max_size=120).map(str.encode))
def test_any_file_is_read_or_refused(content):
    with suppress(StatementError):
        assert all(credit.amount > 0 for credit in read_statement(content))


def test_a_debit_pairs_with_no_receipt():
    from core.domain.bank import Expected

    expected = Expected(date(2026, 11, 26), "card", 1, 1210)
    pairs = match([expected], read_statement((HERE / "sens.csv").read_bytes()))
    assert [(p.expected, p.credit and p.credit.amount) for p in pairs] == [(expected, None), (None, 5687)]


@pytest.mark.parametrize(
    "text",
    [
        # A line with the account's day and balance above, no titles; the balance below.
        "Compte;Compte;****1234;28/11/2026;;1234,56\n27/11/2026;Virement;VIR;PAYFIP;56,87\n26/11/2026;Frais;COMM;FRAIS;-12,10\n",
        "27/11/2026;56,87;Virement;;VIR;;0;Divers\n26/11/2026;-12,10;Frais;;COMM;;0;Divers\n28/11/2026;1234,56;;00000 000000X\n",
        "Date;Type;Libellé;Montant\n27/11/2026;VIR;PAYFIP;56,87\n26/11/2026;COMM;FRAIS;-12,10\n30/11/2026;Solde;;1056,87\n",
        "Date;Libellé;Montant débité;Montant crédité\n27/11/2026;PAYFIP;;56,87\n26/11/2026;FRAIS;12,10;\n",
        "Date;Libellé;Dépenses;Recettes\n27/11/2026;PAYFIP;;56,87\n26/11/2026;FRAIS;12,10;\n",
        "Date;Libellé;D;C\n27/11/2026;PAYFIP;;56,87\n26/11/2026;FRAIS;12,10;\n",
        "Settlement date (UTC);Counterparty name;Total amount (incl. VAT)\n27-11-2026 14:05:00;PAYFIP;56,87\n26-11-2026;FRAIS;-12,10\n",
    ],
)  # fmt: skip
def test_what_stands_round_the_movements_and_other_titles(text):
    assert [(c.on.day, c.amount) for c in read_movements(text.encode())] == [(27, 5687), (26, -1210)]


def test_a_kind_of_movement_that_takes_money_needs_a_sign():
    text = "Date;Type;Montant\n27/11/2026;Virement reçu;56,87\n26/11/2026;Prélèvement;12,10\n"
    assert refused(text) == (3, StatementFault.SIDE)
    assert [c.amount for c in read_statement(text.replace("12,10", "-12,10").encode())] == [5687]


def test_sheets_of_two_accounts_are_not_one_statement():
    def statement(*sheets):
        book = openpyxl.Workbook()
        for number, rows in enumerate(sheets):
            sheet = book.active if not number else book.create_sheet()
            for row in rows:
                sheet.append(row)
        content = io.BytesIO()
        book.save(content)
        return content.getvalue()

    lines = [["Date", "Libellé", "Montant"], [date(2026, 11, 27), "PAYFIP", 56.87]]
    assert [c.amount for c in read_statement(statement([["Synthèse"]], lines))] == [5687]
    assert refused(statement(lines, lines)) == (0, StatementFault.SHEETS)
